package client_test

import "io"

// mine reports whether this transfer is the one in which something happens.
func (w *modelWorld) mine() (at int, do func(*modelWorld), end string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	ok, w.disturb = w.disturb, false
	return w.at, w.do, w.end, ok
}

func (w *modelWorld) retr(s *session, arg string, _ func(*session, string)) {
	at, do, end, ok := w.mine()
	if !ok {
		s.wellBehavedFile("RETR", arg)
		return
	}
	text, _ := s.f.get(arg) // the server holds it open
	text, s.offset = text[min(s.offset, len(text)):], 0
	at = min(at, len(text))
	s.say("150 here it comes")
	c := s.data()
	_, _ = io.WriteString(c, text[:at])
	do(w)
	switch end {
	case "finish":
		_, _ = io.WriteString(c, text[at:])
		_ = c.Close()
		s.say("226 done")
	case "cut":
		_ = c.Close()
		s.say("426 broken")
	case "cancel":
		w.cancel()
		_ = c.Close()
		_ = s.conn.Close()
	}
}

func (w *modelWorld) stor(s *session, arg string, _ func(*session, string)) {
	at, do, end, ok := w.mine()
	text, offset := "", s.offset
	if offset > 0 {
		before, _ := s.f.get(arg)
		text = before[:min(offset, len(before))]
	}
	s.offset = 0
	s.f.set(arg, text)
	s.say("150 send it")
	c := s.data()
	if !ok {
		b, _ := io.ReadAll(c)
		_ = c.Close()
		s.f.set(arg, text+string(b))
		s.say("226 done")
		return
	}
	b, _ := io.ReadAll(io.LimitReader(c, int64(at)))
	s.f.set(arg, text+string(b))
	do(w)
	switch end {
	case "finish":
		more, _ := io.ReadAll(c)
		_ = c.Close()
		s.f.set(arg, text+string(b)+string(more))
		s.say("226 done")
	case "cut":
		_ = c.Close()
		_ = s.conn.Close()
	case "cancel":
		w.cancel()
		_ = c.Close()
		_ = s.conn.Close()
	}
}
