//go:build !unix

package server

import "net"

// input is the state of the receiving side of a control connection.
type input uint8

const (
	inputNone input = iota
	inputReady
	inputClosed
)

// peekInput always returns inputNone: here a connection can't be examined without reading from it.
func peekInput(net.Conn) input { return inputNone }

// mayPark always returns false, for the same reason.
func mayPark(net.Conn) bool { return false }

func awaitInput(net.Conn) error { return nil }

func keepUrgent(net.Conn) {}
func dropUrgent(net.Conn) {}
