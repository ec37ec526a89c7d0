package dtp

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"miniftp/ftp"
)

// A receiver under TLS acknowledges at once: the peer may wait for that before it sends its next
// record.
func TestAckAtOnce(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI})
	m.Protect(ServerSecurity(newConfig(t), ReusePrefer))
	o, addr := listening(t, m)
	client := tls.Client(call(t, home, addr), &tls.Config{InsecureSkipVerify: true}) // certificates do not matter here
	var conn *Conn
	quick := -1
	looked := make(chan struct{})
	done := make(chan Result, 1)
	go func() {
		done <- Run(t.Context(), o, Job{
			Sink:   io.Discard,
			Opened: func(c *Conn) error { conn = c; return nil },
			Ready: func() error {
				defer close(looked)
				raw, err := conn.Conn.(*secured).wire.Conn.(*net.TCPConn).SyscallConn()
				if err != nil {
					return err
				}
				return raw.Control(func(fd uintptr) {
					quick, _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK)
				})
			},
		})
	}()
	check(t, client.Handshake())
	select {
	case <-looked: // before the peer's FIN, at which the system ends the mode
	case <-time.After(10 * time.Second):
		t.Error("the connection was never ready")
	}
	check(t, client.Close())
	if res := <-done; res.Err != nil || quick != 1 {
		t.Errorf("TCP_QUICKACK is %d: %v", quick, res.Err)
	}
}
