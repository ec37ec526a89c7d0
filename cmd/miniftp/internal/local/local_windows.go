package local

import (
	"io/fs"
	"os"
)

// KeepOwner: new files belong to whoever the directory says.
func KeepOwner(*os.File, fs.FileInfo) error { return nil }

// mayWrite: only trying would tell.
func mayWrite(string) error { return nil }
