package server_test

import (
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// brokenListener fails a few times before it accepts.
type brokenListener struct {
	net.Listener
	failures int
}

func (l *brokenListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// A lack of descriptors is logged once, not at each attempt, and the server soon accepts again.
func TestOutOfDescriptorsIsLoggedOnce(t *testing.T) {
	log := &lines{}
	srv, err := server.New(server.Options{Auth: accounts(fsroot.NewMem()), Log: slog.New(slog.NewTextHandler(log, nil))})
	check(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(&brokenListener{l, 5}) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	check(t, err)
	newCtl(t, conn).want(220)
	if n := strings.Count(log.String(), "can't accept"); n != 1 {
		t.Errorf("%d lines:\n%s", n, log)
	}
	check(t, srv.Close())
	<-done
}
