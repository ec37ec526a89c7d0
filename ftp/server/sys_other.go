//go:build !unix

package server

import (
	"io/fs"

	"miniftp/ftp"
)

func (l *looker) rights(fs.FileInfo) rights { return mayRead | mayWrite | maySearch }

func (l *looker) fromSys(*ftp.Entry, fs.FileInfo) {}
