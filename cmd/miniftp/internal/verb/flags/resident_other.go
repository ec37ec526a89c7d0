//go:build !linux

package flags

// ReleaseStart does nothing: it is implemented only on Linux.
func ReleaseStart() {}
