package server

import (
	"io/fs"
	"path"
	"strings"

	"miniftp/ftp"
)

func treeRows() []row {
	return []row{
		{verb: "CWD", aliases: []string{"XCWD"}, syntax: pathArg, rfc: "959 §4.1.1", help: "go to a directory", run: (*session).chdir},
		{verb: "CDUP", aliases: []string{"XCUP"}, syntax: noArg, rfc: "959 §4.1.1", help: "go to the parent directory", run: func(s *session, _ string) ftp.Reply { return s.chdir("..") }},
		{verb: "PWD", aliases: []string{"XPWD"}, syntax: noArg, rfc: "959 §4.1.3", help: "say where you are", run: (*session).pwd},
		{verb: "MKD", aliases: []string{"XMKD"}, perm: PermMakeDir, syntax: pathArg, rfc: "959 §4.1.3", help: "make a directory", run: (*session).mkdir},
		{verb: "RMD", aliases: []string{"XRMD"}, perm: PermDelete, syntax: pathArg, rfc: "959 §4.1.3", help: "remove an empty directory", run: (*session).rmdir},
		{verb: "DELE", perm: PermDelete, syntax: pathArg, rfc: "959 §4.1.3", help: "delete a file", run: (*session).dele},
		{verb: "RNFR", perm: PermRename, syntax: pathArg, rfc: "959 §4.1.3", help: "name what is to be renamed", run: (*session).rnfr},
		{verb: "RNTO", perm: PermRename, syntax: pathArg, rfc: "959 §4.1.3", help: "and give it its new name", run: (*session).rnto},
	}
}

func (s *session) chdir(arg string) ftp.Reply {
	p := s.resolve(arg)
	if err := isDir(s.account.FS, p); err != nil {
		return fileError(err, p)
	}
	s.cwd = p
	return ftp.NewReply(250, "You are in "+p)
}

func (s *session) pwd(string) ftp.Reply { return ftp.NewReply(257, ftp.Quote257(s.cwd)) }

func (s *session) mkdir(arg string) ftp.Reply {
	p := s.resolve(arg)
	if _, err := lstat(s.account.FS, p); err == nil {
		return fileError(fs.ErrExist, p)
	}
	if err := isDir(s.account.FS, path.Dir(p)); err != nil {
		return fileError(err, path.Dir(p))
	}
	if err := s.account.FS.Mkdir(p, 0o777); err != nil {
		return fileError(err, p)
	}
	return ftp.NewReply(257, ftp.Quote257(p)+" is made.")
}

// rmdir looks first: not every storage refuses to orphan what is inside.
func (s *session) rmdir(arg string) ftp.Reply {
	p := s.resolve(arg)
	if p == "/" {
		return fileError(fs.ErrPermission, p)
	}
	fi, err := lstat(s.account.FS, p)
	if err != nil {
		return fileError(err, p)
	}
	if !fi.IsDir() {
		return ftp.Replyf(550, "%s: is not a directory.", p)
	}
	kept, empty := s.onlyKept(p)
	if !empty {
		return ftp.Replyf(550, "%s: the directory is not empty.", p)
	}
	for _, name := range kept {
		_ = s.account.FS.Remove(path.Join(p, name))
	}
	if err := s.account.FS.Remove(p); err != nil {
		return fileError(err, p)
	}
	return ftp.Replyf(250, "%s is removed.", p)
}

// onlyKept reports whether nothing is in a directory but what is kept of uploads
// that were cut: a client does not see that, so it must not be in its way.
func (s *session) onlyKept(p string) (kept []string, empty bool) {
	d, err := s.account.FS.Open(p)
	if err != nil {
		return nil, true // Remove will tell
	}
	defer d.Close()
	const most = 1000
	names, _ := d.Readdirnames(most)
	for _, name := range names {
		if !isKept(name) {
			return nil, false
		}
	}
	return names, len(names) < most
}

// dele takes what is kept of a cut upload to that name along.
func (s *session) dele(arg string) ftp.Reply {
	p := s.resolve(arg)
	fi, err := lstat(s.account.FS, p)
	switch {
	case err != nil && s.account.FS.Remove(keptName(p)) == nil:
		return ftp.Replyf(250, "What was kept of %s is deleted.", p)
	case err != nil:
		return fileError(err, p)
	case fi.IsDir():
		return ftp.Replyf(550, "%s: is a directory: RMD removes it.", p)
	}
	if err := s.account.FS.Remove(p); err != nil {
		return fileError(err, p)
	}
	_ = s.account.FS.Remove(keptName(p))
	return ftp.Replyf(250, "%s is deleted.", p)
}

func (s *session) rnfr(arg string) ftp.Reply {
	p := s.resolve(arg)
	if p == "/" {
		return fileError(fs.ErrPermission, p)
	}
	if _, err := lstat(s.account.FS, p); err != nil {
		return fileError(err, p)
	}
	s.pend.from = p
	return ftp.NewReply(350, "And its new name?")
}

func (s *session) rnto(arg string) ftp.Reply {
	if s.machine.Pending != ftp.RenameFrom {
		return ftp.NewReply(503, "Send RNFR first.")
	}
	from, to := s.pend.from, s.resolve(arg)
	if from == to {
		return ftp.Replyf(250, "%s it stays.", to)
	}
	if to == "/" || strings.HasPrefix(to, from+"/") {
		return ftp.Replyf(553, "%s can't go into itself.", from)
	}
	if fi, err := lstat(s.account.FS, to); err == nil {
		switch {
		case fi.IsDir():
			return fileError(fs.ErrExist, to)
		case !s.account.Perm.Has(PermOverwrite):
			return uploadError(errExists, to)
		}
	} else if err := isDir(s.account.FS, path.Dir(to)); err != nil {
		return fileError(err, path.Dir(to))
	}
	if err := s.account.FS.Rename(from, to); err != nil {
		return fileError(err, from)
	}
	return ftp.Replyf(250, "%s is %s now.", from, to)
}
