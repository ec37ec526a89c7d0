//go:build !linux

package osfile

import (
	"errors"
	"os"
)

func inheritAttributes(_, _ *os.File) error { return nil }

func lock(*os.File) (bool, error) { return false, errors.ErrUnsupported }
