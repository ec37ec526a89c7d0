//go:build !linux

package dtp

import "syscall"

// bindLate does nothing: only Linux has this option.
func bindLate(_, _ string, _ syscall.RawConn) error { return nil }
