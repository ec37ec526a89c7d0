//go:build !unix

package dtp

const canDrain = false

func (l *listener) drain() bool { return false }

func (l *listener) uncalled() bool { return false }
