//go:build !linux && !darwin

package fsroot

import (
	"errors"
	"os"
)

func freeSpace(*os.File) (int64, error) { return 0, errors.ErrUnsupported }
