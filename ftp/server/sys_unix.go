//go:build unix

package server

import (
	"io/fs"
	"os"
	"slices"
	"syscall"

	"miniftp/ftp"
)

// process is who the server runs as: it decides what the disk lets it do.
var process = struct {
	uid    uint32
	groups []int
}{uint32(os.Geteuid()), groups()}

func groups() []int {
	g, _ := os.Getgroups()
	return append(g, os.Getegid())
}

// rightsOf reads the permission bits as the kernel would for this process.
func rightsOf(perm fs.FileMode, uid, gid uint32) rights {
	switch {
	case process.uid == 0:
		return mayRead | mayWrite | maySearch
	case uid == process.uid:
		return rights(perm >> 6 & 7)
	case slices.Contains(process.groups, int(gid)):
		return rights(perm >> 3 & 7)
	}
	return rights(perm & 7)
}

func (l *looker) rights(fi fs.FileInfo) rights {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return rightsOf(fi.Mode().Perm(), st.Uid, st.Gid)
	}
	return mayRead | mayWrite | maySearch
}

// fromSys adds what only a real file has: owner, links, and what is unique.
func (l *looker) fromSys(e *ftp.Entry, fi fs.FileInfo) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	e.Owner, e.Group = l.ids.owner(st.Uid), l.ids.group(st.Gid)
	e.Links = int(st.Nlink)
	if l.facts&ftp.FactUnique != 0 {
		e.Unique = unique(uint64(st.Dev), uint64(st.Ino))
	}
}
