//go:build unix

package dtp

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// canShare reports whether ports can be shared on this platform. That needs a backlog that can be emptied without
// waiting.
const canShare = true

// wait hands out connections as they arrive. It returns true when the share ends, and false if accept has failed.
func (sh *share) wait() (over bool) {
	raw, err := sh.file.SyscallConn()
	if err != nil {
		return true
	}
	failed := false
	err = raw.Read(func(fd uintptr) bool {
		for {
			empty, err := sh.acceptFor(int(fd))
			if failed = err != nil; failed || empty {
				return failed
			}
		}
	})
	return err != nil || !failed
}

// acceptFor is acceptSome for the goroutine of the share. After the last seat was left, it accepts nothing.
func (sh *share) acceptFor(fd int) (empty bool, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.over {
		return true, nil
	}
	return sh.acceptSome(fd)
}

// handOut hands out the connections that have arrived so far. It reports whether none is left. sh.mu is held.
func (sh *share) handOut() bool {
	raw, err := sh.file.SyscallConn()
	if err != nil {
		return false
	}
	empty := false
	err = raw.Control(func(fd uintptr) {
		for range syscall.SOMAXCONN / maxAccepts {
			var err error
			if empty, err = sh.acceptSome(int(fd)); empty || err != nil {
				return
			}
		}
	})
	return empty && err == nil
}

// acceptSome accepts up to maxAccepts connections. It reports whether there are no more. sh.mu is held.
func (sh *share) acceptSome(fd int) (empty bool, err error) {
	for range maxAccepts {
		c, sa, err := acceptBare(fd)
		switch {
		case err == nil:
			sh.arrived(arrival{fd: c, remote: sockaddr(sa)})
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ECONNABORTED):
		case errors.Is(err, syscall.EAGAIN):
			return true, nil
		default:
			return false, err
		}
	}
	return false, nil
}

// open returns the connection as one of package net.
func (c arrival) open() (*net.TCPConn, error) {
	if c.conn != nil {
		return c.conn, nil
	}
	f := os.NewFile(uintptr(c.fd), "data connection")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

func (c arrival) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		return
	}
	_ = syscall.Close(c.fd)
}
