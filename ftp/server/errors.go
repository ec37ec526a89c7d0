package server

import (
	"errors"
	"io/fs"
	"syscall"

	"miniftp/ftp"
)

// fileError returns the reply to a failed file operation. All errors of the storage become replies here. The
// text names the virtual path and never quotes the operating system, whose message might contain a path of the
// host.
func fileError(err error, path string) ftp.Reply {
	if reply, ok := unrecorded(err, path); ok {
		return reply
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ftp.Replyf(550, "%s: no such file or directory.", path)
	case errors.Is(err, syscall.ENOTDIR): // path itself or one of its parents
		return ftp.Replyf(550, "%s: not a directory.", path)
	case errors.Is(err, syscall.ENOTEMPTY): // is an fs.ErrExist, too
		return ftp.Replyf(550, "%s: the directory is not empty.", path)
	case errors.Is(err, fs.ErrExist):
		return ftp.Replyf(550, "%s: exists already.", path)
	case errors.Is(err, syscall.EROFS):
		return ftp.Replyf(550, "%s: the file system is read-only.", path)
	case errors.Is(err, syscall.ELOOP):
		return ftp.Replyf(550, "%s: too many symbolic links on the way.", path)
	case errors.Is(err, syscall.ENODEV):
		return ftp.Replyf(550, "%s: the storage there can't be reached now. Try again in a new session.", path)
	case errors.Is(err, syscall.EXDEV):
		return ftp.Replyf(550, "%s: is on another file system.", path)
	case errors.Is(err, fs.ErrPermission):
		return ftp.Replyf(550, "%s: permission denied.", path)
	case errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.ETXTBSY), errors.Is(err, errBusy):
		return ftp.Replyf(450, "%s: is in use.", path)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return ftp.Replyf(451, "%s: too many files are open here. Try again in a moment.", path)
	case errors.Is(err, syscall.ENOSPC):
		return ftp.Replyf(452, "%s: the disk is full.", path)
	case errors.Is(err, errUncounted):
		return ftp.Replyf(450, "%s: what is used of the quota there could not be counted at the login. Try again in a new session.", path)
	case errors.Is(err, errTally):
		return ftp.Replyf(450, "%s: the quota of this account can't be counted now. Try again in a moment.", path)
	case errors.Is(err, errQuota):
		return ftp.Replyf(552, "%s: exceeds the quota of this account; SITE QUOTA shows it.", path)
	case errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return ftp.Replyf(552, "%s: exceeds the allowed size.", path)
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EILSEQ), errors.Is(err, fs.ErrInvalid), errors.Is(err, syscall.EINVAL):
		return ftp.Replyf(553, "%s: the name is not allowed here.", path)
	case errors.Is(err, syscall.EISDIR):
		return ftp.Replyf(550, "%s: is a directory.", path)
	case errors.Is(err, errors.ErrUnsupported):
		return ftp.Replyf(504, "%s: this storage can't do that.", path)
	}
	if reason, ok := errors.AsType[interface {
		error
		Public() string
	}](err); ok {
		return ftp.Replyf(451, "%s: %s.", path, reason.Public())
	}
	return ftp.Replyf(451, "%s: the file could not be read or written.", path)
}
