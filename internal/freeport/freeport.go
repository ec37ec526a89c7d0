// Package freeport finds free TCP ports for servers that tests start and that cannot be given a listener.
package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
)

// The ports are below those that the system chooses for outgoing connections (32768 and up on Linux), so none of
// these can take a port between the moment it is chosen and the moment it is used.
const (
	first = 12000
	last  = 31999
)

// Reserve returns the first of n consecutive free ports. Until release is called, no other call returns one of them,
// in this process or another: UDP sockets of 127.0.0.1 with the same numbers reserve them.
func Reserve(ctx context.Context, n int) (port int, release func(), err error) {
	for range 1000 {
		port = first + rand.IntN(last-first-n)
		if release, err = reserve(ctx, port, n); err == nil {
			return port, release, nil
		}
	}
	return 0, nil, fmt.Errorf("found no %d consecutive free ports: %w", n, err)
}

// reserve reserves n ports from lo on, if all are free for TCP.
func reserve(ctx context.Context, lo, n int) (release func(), err error) {
	var held []net.PacketConn
	release = func() {
		for _, c := range held {
			_ = c.Close()
		}
	}
	for port := lo; port < lo+n; port++ {
		c, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			release()
			return nil, err
		}
		held = append(held, c)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			release()
			return nil, err
		}
		_ = l.Close()
	}
	return release, nil
}
