//go:build !unix

package server

import "net"

// input is the state of the receiving side of a control connection.
type input uint8

const (
	nothing input = iota
	something
	hungUp
)

// waiting always returns nothing: here a connection can't be examined without reading from it.
func waiting(net.Conn) input { return nothing }

// mayPark always returns false, for the same reason.
func mayPark(net.Conn) bool { return false }

func awaitInput(net.Conn) error { return nil }

func keepUrgent(net.Conn) {}
func dropUrgent(net.Conn) {}
