package transfertest

import (
	"io"

	"miniftp/ftp/internal/fakeserver"
)

// mine reports whether this transfer is the one to be disturbed, and how.
func (w *World) mine() (at int, do func(*World), end string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ok, w.disturb = w.disturb, false
	return w.at, w.do, w.end, ok
}

func (w *World) retr(s *fakeserver.Session, arg string, _ func(*fakeserver.Session, string)) {
	at, do, end, ok := w.mine()
	if !ok {
		s.Behave("RETR", arg)
		return
	}
	text, _ := s.Server.File(arg) // as if the server had opened it before the event
	text, s.Offset = text[min(s.Offset, len(text)):], 0
	at = min(at, len(text))
	s.Say("150 here it comes")
	c := s.Data()
	_, _ = io.WriteString(c, text[:at])
	do(w)
	switch end {
	case "finish":
		_, _ = io.WriteString(c, text[at:])
		_ = c.Close()
		s.Say("226 done")
	case "cut":
		_ = c.Close()
		s.Say("426 broken")
	case "cancel":
		w.cancel()
		_ = c.Close()
		_ = s.Conn.Close()
	}
}

func (w *World) stor(s *fakeserver.Session, arg string, _ func(*fakeserver.Session, string)) {
	at, do, end, ok := w.mine()
	text, offset := "", s.Offset
	if offset > 0 {
		before, _ := s.Server.File(arg)
		text = before[:min(offset, len(before))]
	}
	s.Offset = 0
	s.Server.SetFile(arg, text)
	s.Say("150 send it")
	c := s.Data()
	if !ok {
		b, _ := io.ReadAll(c)
		_ = c.Close()
		s.Server.SetFile(arg, text+string(b))
		s.Say("226 done")
		return
	}
	b, _ := io.ReadAll(io.LimitReader(c, int64(at)))
	s.Server.SetFile(arg, text+string(b))
	do(w)
	switch end {
	case "finish":
		more, _ := io.ReadAll(c)
		_ = c.Close()
		s.Server.SetFile(arg, text+string(b)+string(more))
		s.Say("226 done")
	case "cut":
		_ = c.Close()
		_ = s.Conn.Close()
	case "cancel":
		w.cancel()
		_ = c.Close()
		_ = s.Conn.Close()
	}
}
