//go:build !linux

package fsroot

import (
	"errors"
	"os"
)

func (*Root) renameExclusive(string, string) error { return errors.ErrUnsupported }

func inheritAttributes(_, _ *os.File) error { return nil }

func lockFile(*os.File) (bool, error) { return false, errors.ErrUnsupported }
