//go:build !linux

package systemd

import (
	"errors"
	"net"
)

const supported = false

var errUnsupported = errors.New("there is no systemd on this system")

func send(string, string) error { return errUnsupported }

func monotonic() string { return "0" }

// Sockets returns nil, because there is no systemd on this system.
func Sockets() ([]Socket, error) { return nil, nil }

// Waiting returns an error, because only Linux says how many connections wait.
func Waiting(*net.TCPListener) (int, error) { return 0, errUnsupported }
