package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"miniftp/cmd/miniftp/internal/verb"
)

// MaxFile bounds what is read of a file that a person wrote: a configuration, a users
// file, a certificate or a key.
const MaxFile = 4 << 20

// ReadFile reads a file that a person has written, and no more of it than one
// would. What is no regular file is refused: a pipe to which nobody writes would hold
// the program for good, a device may have no end. A byte order mark is left out.
func ReadFile(name string) ([]byte, os.FileMode, error) {
	// Without O_NONBLOCK the open of such a pipe is what waits.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, verb.LocalProblem(name, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	switch {
	case err != nil:
	case fi.IsDir():
		err = errors.New("it is a directory")
	case !fi.Mode().IsRegular():
		err = errors.New("it is a pipe or a device, not a file")
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, MaxFile+1))
	}
	if err == nil && len(text) > MaxFile {
		err = fmt.Errorf("it has more than %d bytes", MaxFile)
	}
	if err != nil {
		return nil, 0, verb.LocalProblem(name, err)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), fi.Mode(), nil
}
