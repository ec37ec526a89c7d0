package fakeserver

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// Blocks returns a change that gives a server block mode and twelve files in /d. In block mode the third RETR is
// answered by third. All files have the same size, so that only the order of replies and bytes tells them apart.
func Blocks(third func(s *Session, data net.Conn, block string)) func(f *Server) {
	const files = 12
	return func(f *Server) {
		var list strings.Builder
		for i := range files {
			name := fmt.Sprintf("f%02d", i)
			f.Files["/d/"+name] = fmt.Sprintf("%010d", i)
			fmt.Fprintf(&list, "type=file;size=10;modify=20240102030405; %s\r\n", name)
		}
		f.Feat = append(f.Feat, "MODE B AHEAD", "MLST type*;size*;modify*;")
		f.Dirs["/d"] = list.String()
		f.On["MLST"] = func(s *Session, _ string) { s.Raw("250-facts\r\n type=dir; /d\r\n250 end\r\n") }
		b := &blocks{kept: map[*Session]net.Conn{}}
		f.On["MODE"] = b.mode
		f.On["MLSD"] = b.whenOn("MLSD", func(s *Session, data net.Conn, arg string) {
			text := f.Dirs[arg]
			s.Say("125 here it comes")
			_, _ = data.Write(append([]byte{0x40, byte(len(text) >> 8), byte(len(text))}, text...))
			s.Say("226 done")
		})
		n := 0
		f.On["RETR"] = b.whenOn("RETR", func(s *Session, data net.Conn, arg string) {
			text, _ := f.File(arg)
			block := "\x40\x00\x0a" + text
			if n++; n == 3 {
				third(s, data, block)
				return
			}
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, block)
			s.Say("226 done")
		})
	}
}

// blocks holds the data connections of sessions in block mode.
type blocks struct {
	mu   sync.Mutex
	kept map[*Session]net.Conn // in block mode; nil: no data connection yet
}

// mode answers MODE.
func (b *blocks) mode(s *Session, arg string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.kept[s]; c != nil {
		_ = c.Close()
	}
	delete(b.kept, s)
	if arg == "B" {
		b.kept[s] = nil
	}
	s.Say("200 mode " + arg)
}

// whenOn returns a handler that calls do in block mode, one call at a time, and Behave in other modes.
func (b *blocks) whenOn(verb string, do func(s *Session, data net.Conn, arg string)) func(*Session, string) {
	return func(s *Session, arg string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		data, on := b.kept[s]
		if !on {
			s.Behave(verb, arg)
			return
		}
		if data == nil {
			data = s.Data()
			b.kept[s] = data
		}
		do(s, data, arg)
	}
}

// IgnoringPaths returns a change that makes a server list the current directory for verb, whatever path it is given.
// Its tree is /sub with the files a, deep/b and deep/c.
func IgnoringPaths(verb string) func(f *Server) {
	line := func(kind, name string) string {
		if verb == "MLSD" {
			return "type=" + kind + ";size=1;modify=20240102030405; " + name + "\r\n"
		}
		return map[string]string{"dir": "d", "file": "-"}[kind] + "rw-r--r-- 1 a b 1 Jan  2  2024 " + name + "\r\n"
	}
	return func(f *Server) {
		if f.Feat = MLST; verb == "LIST" {
			f.Feat = []string{"SIZE", "MDTM"}
		}
		f.Dirs[""] = line("file", "top") + line("dir", "sub")
		f.Dirs["/sub"] = line("file", "a") + line("dir", "deep")
		f.Dirs["/sub/deep"] = line("file", "b") + line("file", "c")
		f.Files["/sub/a"], f.Files["/sub/deep/b"], f.Files["/sub/deep/c"] = "1", "1", "1"
		f.Dirs["sub"] = f.Dirs["/sub"]
		f.On[verb] = func(s *Session, arg string) {
			if strings.HasPrefix(arg, "-") {
				s.Say("501 no options")
				return
			}
			s.Behave(verb, "")
		}
	}
}
