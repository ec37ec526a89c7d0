//go:build !linux

package dtp

import (
	"context"
	"net"
	"os"
	"time"
)

// startQuick returns nil: only on Linux are bare descriptors used.
func (o *Opener) startQuick(Job, time.Duration) *Started { return nil }

func (o *Opener) answered(context.Context) (net.Conn, error) { return nil, net.ErrClosed }

func (t *Started) quickDownload() (Result, bool)             { return Result{}, false }
func (t *Started) adopt() error                              { return nil }
func (s *socket) receive([]byte, time.Duration) (int, error) { return 0, os.ErrDeadlineExceeded }
func (t *Started) sendfile() (bool, error)                   { return false, nil }
func (s *socket) waitFor([]byte, time.Duration) (int, error) { return 0, os.ErrDeadlineExceeded }
func (s *socket) reset()                                     {}
func (s *socket) close() error                               { return nil }
