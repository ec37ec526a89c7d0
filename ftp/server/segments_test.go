package server_test

import (
	"net"
	"strings"
	"sync"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// noted is a listener whose connections note what is written to them, write by write.
type noted struct {
	net.Listener

	mu     sync.Mutex
	writes []string
}

func (l *noted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &notedConn{c.(*net.TCPConn), l}, nil
}

type notedConn struct {
	*net.TCPConn
	l *noted
}

func (c *notedConn) Write(b []byte) (int, error) {
	c.l.mu.Lock()
	c.l.writes = append(c.l.writes, string(b))
	c.l.mu.Unlock()
	return c.TCPConn.Write(b)
}

// A connection tracking helper (Linux' nf_conntrack_ftp) looks for a 227 or 229 at the beginning of a
// segment only. So with a client that sends several commands at once these replies do not share
// a write with those before them.
func TestAddressBeginsASegment(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	l := &noted{Listener: ln}
	srv, err := server.New(server.Options{Auth: server.Static{"anonymous": {Anyone: true, Account: server.Account{FS: oneFile(t, "x"), Perm: server.ReadOnly}}}})
	check(t, err)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-ended })

	conn, err := net.Dial("tcp", ln.Addr().String())
	check(t, err)
	c := newCtl(t, conn)
	t.Cleanup(func() { _ = c.Close() })
	c.want(220)
	c.cmd("USER anonymous", 331)
	c.cmd("PASS x", 230)
	c.send("NOOP\r\nTYPE I\r\nEPSV\r\nNOOP\r\nPASV")
	for _, code := range []ftp.Code{200, 200, 229, 200, 227} {
		c.want(code)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	starts := 0
	for _, w := range l.writes {
		if strings.HasPrefix(w, "229 ") || strings.HasPrefix(w, "227 ") {
			starts++
		}
	}
	if starts != 2 {
		t.Errorf("the addresses do not begin a write: %q", l.writes)
	}
}
