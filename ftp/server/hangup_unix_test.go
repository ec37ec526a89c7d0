//go:build unix

package server

import (
	"net"
	"testing"
	"time"
)

// Any error of the connection counts as its end. Keepalive, for example, ends a connection with ETIMEDOUT,
// which is reported only once. Here the error is ECONNREFUSED.
func TestWaitingSeesErrors(t *testing.T) {
	gone, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", nil, gone.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := peekInput(conn); got != inputNone {
		t.Fatalf("state %d before anything was sent, want %d", got, inputNone)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond) // the answer is an ICMP message
	if got := peekInput(conn); got != inputClosed {
		t.Errorf("state %d, want %d", got, inputClosed)
	}
}
