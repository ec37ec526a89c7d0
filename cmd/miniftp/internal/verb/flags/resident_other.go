//go:build !linux

package flags

// ReleaseStart is for Linux.
func ReleaseStart() {}
