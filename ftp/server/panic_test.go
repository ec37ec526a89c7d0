package server_test

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"miniftp/fsroot"
)

// A panic in the storage ends only one session, wherever it happens. The data connection is closed, the panic
// is logged but not sent to the client, and other sessions continue.
func TestPanicEndsOneSession(t *testing.T) {
	for _, tt := range []struct{ in, cmd string }{
		{"Stat", "CWD /d"},
		{"Stat", "LIST"},
		{"Open", "RETR /f"},
		{"Open", "LIST"},
		{"Open", "MLSD"},
		{"File.Stat", "RETR /f"},
		{"File.Read", "RETR /f"},
		{"File.Close", "RETR /f"},
		{"File.Readdir", "LIST"},
		{"File.Readdir", "MLSD"},
		{"File.Close", "MLSD"},
		{"File.Close", "LIST -a"},
		{"OpenFile", "STOR /g"},
		{"File.Write", "STOR /g"},
		{"File.Close", "STOR /g"},
		{"Rename", "STOR /g"},
		{"File.Stat", "APPE /f"},
		{"File.Write", "APPE /f"},
		{"Remove", "DELE /f"},
		{"Rename", "RNTO /g"},
		{"File.Read", "HASH /f"},
		{"File.Close", "HASH /f"},
		{"File.Readdir", "LIST *"},
		{"File.Readdir", "STAT /"},
	} {
		t.Run(tt.in+" in "+tt.cmd, func(t *testing.T) {
			inner := fsroot.NewMem()
			write(t, inner, "/f", "content")
			write(t, inner, "/d/x", "")
			armed := new(atomic.Bool)
			s := serve(t, panicky{inner, tt.in, armed})
			other, c := s.login(t, "rw"), s.login(t, "rw")
			d := c.epsv()
			if tt.cmd == "RNTO /g" {
				c.cmd("RNFR /f", 350)
			}
			armed.Store(true)
			c.send(tt.cmd)
			_, _ = io.WriteString(d, "bytes")
			_ = d.CloseWrite()
			replies := ""
			for {
				line, err := c.lr.ReadLine()
				if err != nil {
					break
				}
				replies += string(line) + "\n"
			}
			if strings.Contains(replies, "226") || strings.Contains(replies, "host") || !strings.Contains(replies, "421") && !strings.Contains(replies, "451") {
				t.Errorf("replies:\n%s", replies)
			}
			if _, err := io.ReadAll(d); isTimeout(err) {
				t.Error("the data connection stays open")
			}
			if !strings.Contains(s.log.String(), "this storage is broken") {
				t.Errorf("the panic was not logged:\n%s", s.log)
			}
			armed.Store(false)
			other.cmd("PWD", 257)
			if got := string(other.get("NLST /d")); got != "/d/x\r\n" {
				t.Errorf("another session lists %q", got)
			}
		})
	}
}
