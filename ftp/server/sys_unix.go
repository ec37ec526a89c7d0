//go:build unix

package server

import (
	"io/fs"
	"os"
	"slices"
	"syscall"

	"miniftp/ftp"
)

// process holds the user and groups of the server's process, which decide what it may do with files.
var process = struct {
	uid    uint32
	groups []int
}{uint32(os.Geteuid()), groups()}

func groups() []int {
	g, _ := os.Getgroups()
	return append(g, os.Getegid())
}

// rightsOf evaluates permission bits for this process, as the kernel does.
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

func (l *describer) rights(fi fs.FileInfo) rights {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return rightsOf(fi.Mode().Perm(), st.Uid, st.Gid)
	}
	return mayRead | mayWrite | maySearch
}

// fromSys adds what only a file on disk has: owner, number of links, and the unique fact.
func (l *describer) fromSys(e *ftp.Entry, fi fs.FileInfo) {
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

// sysID identifies a file on this machine.
type sysID struct{ dev, ino uint64 }

// sysOf returns the identity of a file, or false if it is not on disk.
func sysOf(fi fs.FileInfo) (sysID, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return sysID{}, false
	}
	return sysID{uint64(st.Dev), uint64(st.Ino)}, true
}

// onDisk reports whether fi describes a file on disk, where the operating system checks who may write to it.
func onDisk(fi fs.FileInfo) bool {
	_, ok := fi.Sys().(*syscall.Stat_t)
	return ok
}

// hasLinks reports whether a file has several names.
func hasLinks(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && fi.Mode().IsRegular() && st.Nlink > 1
}

// ownedByOther reports whether a file belongs to another user than that of this process. It is false for root.
func ownedByOther(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && process.uid != 0 && st.Uid != process.uid
}

// ownedByProcess reports whether a file belongs to the user of this process. A file that is not on disk does.
func ownedByProcess(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || st.Uid == process.uid
}
