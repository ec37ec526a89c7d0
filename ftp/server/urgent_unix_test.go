//go:build unix

package server_test

import (
	"net"
	"syscall"
)

// urgent sends s with its last byte as out-of-band data.
func (c *ctl) urgent(s string) {
	c.t.Helper()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	check(c.t, err)
	var sent error
	check(c.t, raw.Control(func(fd uintptr) { sent = syscall.Sendto(int(fd), []byte(s), syscall.MSG_OOB, nil) }))
	check(c.t, sent)
}
