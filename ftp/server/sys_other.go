//go:build !unix

package server

import (
	"io/fs"
	"syscall"

	"miniftp/ftp"
)

func (l *describer) rights(fs.FileInfo) rights { return mayRead | mayWrite | maySearch }

func (l *describer) fromSys(*ftp.Entry, fs.FileInfo) {}

// sysID identifies a file on this machine.
type sysID struct{ dev, ino uint64 }

func sysOf(fs.FileInfo) (sysID, bool) { return sysID{}, false }
func hasLinks(fs.FileInfo) bool       { return false }
func ownedByProcess(fs.FileInfo) bool { return true }
func ownedByOther(fs.FileInfo) bool   { return false }

func onDisk(fi fs.FileInfo) bool {
	_, ok := fi.Sys().(*syscall.Win32FileAttributeData)
	return ok
}
