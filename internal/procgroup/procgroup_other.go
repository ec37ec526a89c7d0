//go:build !unix

// Package procgroup starts programs for tests, which end with the test, together with the processes that they have started.
package procgroup

import (
	"errors"
	"os/exec"
)

// CanRun reports whether this system has process groups.
const CanRun = false

// Start returns errors.ErrUnsupported.
func Start(*exec.Cmd) (stop func(), err error) { return nil, errors.ErrUnsupported }
