package testutil

import "net"

// CloseNow closes conn and guarantees that its FIN is sent before CloseNow returns. Close does
// not: while another test starts a process, the child holds a copy of every socket until its
// exec. Tests that close two connections in a certain order need the guarantee.
func CloseNow(conn net.Conn) error {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	return conn.Close()
}
