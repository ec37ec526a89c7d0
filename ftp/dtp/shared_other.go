//go:build !unix

package dtp

import "net"

// canShare is false: without drain each session needs a port of its own.
const canShare = false

func (sh *share) wait() (over bool)           { return true }
func (sh *share) handOut() bool               { return false }
func (c arrival) open() (*net.TCPConn, error) { return nil, net.ErrClosed }
func (c arrival) close()                      {}
