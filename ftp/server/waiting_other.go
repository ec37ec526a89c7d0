//go:build !unix

package server

import "net"

// input is what a control connection has to read.
type input uint8

const (
	nothing input = iota
	something
	hungUp
)

// waiting can't look without reading here.
func waiting(net.Conn) input { return nothing }

// mayPark: there is no waiting without reading either.
func mayPark(net.Conn) bool { return false }

func awaitInput(net.Conn) error { return nil }

func keepUrgent(net.Conn) {}
func dropUrgent(net.Conn) {}
