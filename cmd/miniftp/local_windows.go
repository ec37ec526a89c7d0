package main

import (
	"io/fs"
	"os"
)

// keepOwner: new files belong to whoever the directory says.
func keepOwner(*os.File, fs.FileInfo) error { return nil }

// mayWrite: only trying would tell.
func mayWrite(string) error { return nil }
