//go:build !linux

package dtp

import (
	"errors"
	"io"
	"net"
)

// kernelSender is not used: on other systems than Linux package net sends files.
type kernelSender struct{}

func newKernelSender(net.Conn, io.Reader) *kernelSender { return nil }

var errNoSendfile = errors.New("not used here")

func (*kernelSender) send(int64) (int64, error) { return 0, errNoSendfile }
