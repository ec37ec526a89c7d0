package ftptest

import (
	"strings"
	"time"

	"miniftp/ftp"
)

// letters returns the type and the permission bits as ls writes them.
func letters(e *ftp.Entry) string {
	return string(ftp.AppendList(nil, e, time.Time{}))[:len("-rwxrwxrwx")]
}

// when returns a time as ls writes it: with the time of day, or with the year if it is more than
// half a year ago or in the future. day is the layout of the day: "02" or "_2".
func when(t time.Time, day string) string {
	const halfYear = 182 * 24 * time.Hour
	if age := time.Since(t); age >= 0 && age < halfYear {
		return t.UTC().Format("Jan " + day + " 15:04")
	}
	return t.UTC().Format("Jan " + day + "  2006")
}

// shown returns the name in a listing, for a link with its target.
func shown(e *ftp.Entry) string {
	if e.Type == ftp.LinkEntry && e.Target != "" {
		return e.Name + " -> " + e.Target
	}
	return e.Name
}

// size returns the size of e. Our server sends no size of a directory in MLSD; it is then 4096, as
// on most systems.
func size(e *ftp.Entry) int64 {
	if e.Size < 0 {
		return 4096
	}
	return e.Size
}

// perms returns the perm fact. file and dir are the letters of a user who may do everything. If e
// is read-only, only the letters that e has are returned.
func perms(e *ftp.Entry, file, dir string) string {
	all := file
	if e.IsDir() {
		all = dir
	}
	if strings.ContainsAny(e.Perm, "wc") {
		return all
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(e.Perm, r) {
			return r
		}
		return -1
	}, all)
}
