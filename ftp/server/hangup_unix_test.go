//go:build unix

package server

import (
	"net"
	"testing"
	"time"
)

// waiting takes any error of the connection for its end. Keepalive, for example, ends a
// connection with ETIMEDOUT, which is reported once. The error here is ECONNREFUSED.
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
	if got := waiting(conn); got != nothing {
		t.Fatalf("%d before anything was sent, want %d", got, nothing)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond) // the answer is an ICMP message
	if got := waiting(conn); got != hungUp {
		t.Errorf("%d, want %d", got, hungUp)
	}
}
