//go:build !unix

package fsroot

import (
	"io/fs"
	"os"
)

const openFlags = 0

func sysOf(fs.FileInfo) (Sys, bool) { return Sys{}, false }

func inheritOwner(*os.File, fs.FileInfo, fs.FileInfo) error { return nil }
