//go:build !unix

package fsroot

import "io/fs"

const openFlags = 0

func sysOf(fs.FileInfo) (Sys, bool) { return Sys{}, false }
