//go:build !unix

package runas

import (
	"errors"
	"io/fs"
	"os"
)

const supported = false

var errUnsupported = errors.New("is not supported on this system: give the service an account of its own")

// Possible returns an error.
func (u *User) Possible() (bool, error) { return false, errUnsupported }

// Do returns an error.
func (u *User) Do(func() error) error { return errUnsupported }

// Drop returns an error.
func (u *User) Drop() error { return errUnsupported }

// Append returns an error.
func (u *User) Append(string, fs.FileMode) (*os.File, error) { return nil, errUnsupported }

// Directory returns an error.
func (u *User) Directory(string) error { return errUnsupported }
