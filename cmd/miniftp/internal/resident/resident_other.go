//go:build !linux

package resident

// Release does nothing: it is implemented only on Linux.
func Release() {}
