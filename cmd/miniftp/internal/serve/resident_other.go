//go:build !linux

package serve

func releaseStart() {}
