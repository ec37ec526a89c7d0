//go:build unix && !linux

package callout

// awaitEnd reports false: it can't wait and leave the status for Wait.
func awaitEnd(int) bool { return false }
