//go:build unix

package server_test

import (
	"net"
	"syscall"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// TCP keepalive detects clients that are gone without closing the connection.
func TestControlConnectionsHaveKeepAlive(t *testing.T) {
	srv, err := server.New(server.Options{Auth: accounts(fsroot.NewMem()), Listen: []string{"127.0.0.1:0"}})
	check(t, err)
	ls, _, err := srv.ListenAll(t.Context())
	check(t, err)
	defer ls[0].Close()
	conn, err := net.Dial("tcp", ls[0].Addr().String())
	check(t, err)
	defer conn.Close()
	taken, err := ls[0].Accept()
	check(t, err)
	defer taken.Close()
	raw, err := taken.(syscall.Conn).SyscallConn()
	check(t, err)
	on := 0
	check(t, raw.Control(func(fd uintptr) { on, err = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE) }))
	if err != nil || on == 0 {
		t.Errorf("SO_KEEPALIVE is %d, %v", on, err)
	}
}
