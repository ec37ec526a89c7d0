package server_test

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
)

// An HTTP request whose body contains commands runs none of them, before and after the login. A client can't
// try many unknown commands either.
func TestCrossProtocol(t *testing.T) {
	s := serve(t, fsroot.NewMem())
	login := "USER rw\r\nPASS rw\r\n"
	for _, text := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + login + "MKD /made\r\n",
		login + "POST / HTTP/1.1\r\nHost: x\r\n\r\nMKD /made\r\n",
		"SSH-2.0-x\r\nMKD /made\r\n",
		strings.Repeat("FROB\r\n", 4) + login + "MKD /made\r\n",
	} {
		conn, err := net.Dial("tcp", s.addr)
		check(t, err)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = io.WriteString(conn, text)
		check(t, err)
		got, err := io.ReadAll(conn)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%q: %v", text, errors.Unwrap(err))
		}
		if !strings.Contains(string(got), "421 ") || strings.Contains(string(got), "257 ") {
			t.Errorf("%q: got %q", text, got)
		}
		_ = conn.Close()
	}
}
