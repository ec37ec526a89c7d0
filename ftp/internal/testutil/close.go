package testutil

import "net"

// CloseNow closes conn so that its FIN leaves before CloseNow returns. Close alone does
// not promise that: while another test starts a process, the child holds a copy of every
// socket until it runs its own program. Tests that end two connections in some order need
// the promise.
func CloseNow(conn net.Conn) error {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	return conn.Close()
}
