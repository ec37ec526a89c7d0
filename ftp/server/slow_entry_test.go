package server

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// links is an endless directory of links, which counts them.
type links struct{ read *int }

func (d links) next(e *ftp.Entry) (bool, error) {
	*d.read++
	*e = ftp.Entry{Name: "link", Type: ftp.LinkEntry}
	return true, nil
}

func (links) Close() error { return nil }

// Resolving a link may take long, so a listing checks after each link whether to stop.
func TestListingStopsAfterASlowEntry(t *testing.T) {
	for _, gathers := range []bool{false, true} {
		read, asked := 0, 0
		l := &listing{open: links{&read}, gathering: gathers, line: nameLine("")}
		why := errors.New("ABOR")
		l.stop = func() error {
			if asked++; asked == 3 {
				return why
			}
			return nil
		}
		if _, err := drain(l); !errors.Is(err, why) || read > 4 {
			t.Errorf("%d links were read until %v", read, err)
		}
	}
}

// oneBad is a directory with one entry that package os can't examine, as it is reported where there is no
// fastDir.
type oneBad struct {
	afero.File
	calls int
}

func (d *oneBad) Readdir(int) ([]fs.FileInfo, error) {
	fi, err := os.Stat(".")
	if err != nil {
		return nil, err
	}
	switch d.calls++; d.calls {
	case 1, 3:
		return []fs.FileInfo{fi}, nil
	case 2:
		return nil, &fs.PathError{Op: "lstat", Path: filepath.Join("host", "dead"), Err: errors.New("not connected")}
	}
	return nil, nil
}

func (*oneBad) Close() error { return nil }

func TestOneBadEntryOfAPlainDirectory(t *testing.T) {
	l := &listing{line: nameLine(""), hidden: true}
	l.open = &plainDir{desc: &l.desc, f: &oneBad{}}
	buf := make([]byte, 100)
	text := ""
	for l.err == nil {
		n, _ := l.Read(buf)
		text += string(buf[:n])
	}
	if want := ".\r\ndead\r\n.\r\n"; text != want {
		t.Errorf("%q, want %q: %v", text, want, l.err)
	}
}

// The idle limit counts from the last command: neither bytes nor wake-ups extend it.
func TestIdleLimitIsOfCommands(t *testing.T) {
	srv, err := New(Options{Auth: Static{}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	s := newSession(srv, nowhere{}, false)
	s.machine.Login = ftp.LoggedIn
	s.deadline()
	first := s.idleBy
	time.Sleep(time.Millisecond) // let the clock advance
	if s.deadline(); s.idleBy != first {
		t.Error("the limit was extended without a command")
	}
	s.execute(ftp.Command{Verb: "NOOP"})
	if s.deadline(); !s.idleBy.After(first) {
		t.Error("a command does not extend the limit")
	}
}
