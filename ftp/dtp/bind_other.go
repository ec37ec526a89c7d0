//go:build !linux

package dtp

import "syscall"

// bindLate is for Linux.
func bindLate(_, _ string, _ syscall.RawConn) error { return nil }
