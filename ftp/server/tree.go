package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

func treeRows() []row {
	return []row{
		{verb: "CWD", aliases: []string{"XCWD"}, syntax: pathArg, rfc: "959 §4.1.1", help: "go to a directory", run: (*session).chdir},
		{verb: "CDUP", aliases: []string{"XCUP"}, syntax: noArg, rfc: "959 §4.1.1", help: "go to the parent directory", run: func(s *session, _ string) ftp.Reply { return s.chdir("..") }},
		{verb: "PWD", aliases: []string{"XPWD"}, syntax: noArg, rfc: "959 §4.1.3", help: "show the working directory", run: (*session).pwd},
		{verb: "MKD", aliases: []string{"XMKD"}, changes: true, perm: PermMakeDir, syntax: pathArg, rfc: "959 §4.1.3", help: "make a directory", run: (*session).mkdir},
		{verb: "RMD", aliases: []string{"XRMD"}, changes: true, perm: PermDelete, syntax: pathArg, rfc: "959 §4.1.3", help: "remove an empty directory", run: (*session).rmdir},
		{verb: "DELE", changes: true, perm: PermDelete, file: true, syntax: pathArg, rfc: "959 §4.1.3", help: "delete a file", run: (*session).dele},
		{verb: "RNFR", changes: true, perm: PermRename, file: true, syntax: pathArg, rfc: "959 §4.1.3", help: "choose the file to be renamed", run: (*session).rnfr},
		{verb: "RNTO", changes: true, perm: PermRename, syntax: pathArg, rfc: "959 §4.1.3", help: "rename the file chosen by RNFR", run: (*session).rnto},
	}
}

func (s *session) chdir(arg string) ftp.Reply {
	p := s.resolve(arg)
	if err := mayEnter(s.account.FS, p); err != nil {
		return fileError(err, p)
	}
	s.cwd = p
	return ftp.NewReply(250, "You are in "+p)
}

func (s *session) pwd(string) ftp.Reply { return ftp.NewReply(257, ftp.Quote257(s.cwd)) }

// rmdir removes an empty directory. It checks that itself, because not every storage refuses to remove a
// directory with files in it. Interrupted uploads, which the client can't see, are removed with the directory,
// and the reply says so. A running upload keeps the directory.
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
	left, err := s.leftovers(p)
	switch {
	case errors.Is(err, errRuns):
		return ftp.Replyf(550, "%s: the directory is not empty: an upload to it is running, or was a moment ago.", p)
	case errors.Is(err, errNotEmpty):
		return ftp.Replyf(550, "%s: the directory is not empty.", p)
	case err != nil:
		return fileError(err, p)
	}
	err = s.recorded(s.ctx(), Change{Verb: "RMD", Path: p}, func() error {
		for _, name := range left {
			_ = s.account.FS.Remove(path.Join(p, name))
		}
		return s.account.FS.Remove(p)
	})
	if err != nil {
		return fileError(err, p)
	}
	if len(left) > 0 {
		return ftp.Replyf(250, "%s is removed, with the interrupted uploads in it (%d).", p, len(left))
	}
	return ftp.Replyf(250, "%s is removed.", p)
}

// Reasons for not removing a directory.
var (
	errNotEmpty = errors.New("the directory is not empty")
	errRuns     = errors.New("an upload to the directory runs")
)

// leftovers returns the partial uploads in a directory, or an error if something else is in it or an upload is
// running.
func (s *session) leftovers(p string) ([]string, error) {
	d, err := s.account.FS.Open(p)
	if err != nil {
		return nil, nil // not readable, but perhaps empty: Remove will decide
	}
	defer d.Close()
	const most = 1000
	names, err := d.Readdirnames(most)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) == most {
		return nil, errNotEmpty
	}
	var runs error
	for _, name := range names {
		if !isPartial(name) {
			return nil, errNotEmpty
		}
		fi, err := lstat(s.account.FS, path.Join(p, name))
		switch {
		case err == nil && !fi.Mode().IsRegular():
			return nil, errNotEmpty
		case err == nil && !s.abandoned(path.Join(p, name), fi):
			runs = errRuns
		}
	}
	return names, runs
}

// dele deletes a file, and with it the interrupted uploads of the same account to that name: one to replace the
// file, and one from the time before the file existed. The latter could be resumed again now. If there is only
// an interrupted upload, dele deletes that.
func (s *session) dele(arg string) ftp.Reply {
	p := s.meant(arg)
	fi, err := lstat(s.account.FS, p)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.discardKept(p, nil) == nil:
		return ftp.Replyf(250, "The interrupted upload of %s is deleted.", p)
	case err != nil:
		return fileError(err, p)
	case fi.IsDir():
		return ftp.Replyf(550, "%s: is a directory: RMD removes it.", p)
	}
	err = s.recorded(s.ctx(), Change{Verb: "DELE", Path: p}, func() error {
		return s.quotaAt(p).put(s.ctx(), p, -1, func() error { return s.account.FS.Remove(p) })
	})
	if err != nil {
		return fileError(err, p)
	}
	_ = s.discardKept(p, fi)
	_ = s.discardKept(p, nil)
	return ftp.Replyf(250, "%s is deleted.", p)
}

// discardKept removes the interrupted upload of the account to the file at p, which was to replace old; nil: a new
// file. A storage that keeps uploads itself has only one.
func (s *session) discardKept(p string, old fs.FileInfo) error {
	storage, inside := s.at(p)
	if files, ok := storage.(UploadFs); ok {
		if old != nil {
			return nil
		}
		return files.Discard(s.ctx(), inside, s.uploadOwner())
	}
	return s.account.FS.Remove(partialOf(path.Base(p), s.owner, old).sibling(p))
}

func (s *session) rnfr(arg string) ftp.Reply {
	p := s.meant(arg)
	if p == "/" {
		return fileError(fs.ErrPermission, p)
	}
	if _, err := lstat(s.account.FS, p); err != nil {
		return fileError(err, p)
	}
	s.pend.from = p
	return ftp.NewReply(350, "Send RNTO with the new name.")
}

// rnto renames what RNFR has named.
func (s *session) rnto(arg string) ftp.Reply {
	if s.machine.Pending != ftp.RenameFrom {
		return ftp.NewReply(503, "Send RNFR first.")
	}
	from, to := s.pend.from, s.resolve(arg)
	if from == to {
		return ftp.Replyf(250, "%s keeps its name.", to)
	}
	if to == "/" || strings.HasPrefix(to, from+"/") {
		return ftp.Replyf(553, "%s can't be moved into itself.", from)
	}
	if no, apart := s.apart(from, to); apart {
		return no
	}
	return s.rename(from, to)
}

// rename moves a file or a directory. It replaces a file only if the account has the permission to, and never
// one that appears meanwhile. The file of a device gets a numbered name then.
func (s *session) rename(from, to string) ftp.Reply {
	files := s.account.FS
	change := Change{Verb: "RNTO", Path: from, To: to}
	source, err := lstat(files, from)
	if err != nil {
		return fileError(err, from)
	}
	numbers := s.account.numbersNames(to) && !source.IsDir()
	replaced, err := lstat(files, to)
	switch {
	case err == nil && isSameFile(source, replaced): // another spelling of from, or a hard link
		err = s.recorded(s.ctx(), change, func() error { return files.Rename(from, to) })
	case err == nil && replaced.IsDir():
		return fileError(fs.ErrExist, to)
	case err == nil && numbers:
		return s.renameNumbered(from, to)
	case err == nil && !s.may(PermOverwrite, to):
		return uploadError(errExists, to)
	case err == nil && source.IsDir():
		return ftp.Replyf(553, "%s: is a file, which a directory can't replace.", to)
	case err == nil:
		err = s.recorded(s.ctx(), change, func() error {
			return s.quotaAt(from).move(s.ctx(), from, to, func() error { return files.Rename(from, to) })
		})
	case errors.Is(err, fs.ErrNotExist):
		if err := isDir(files, path.Dir(to)); err != nil {
			return fileError(err, path.Dir(to))
		}
		storage, inside := s.at(from)
		other, target := s.at(to)
		if !sameStorage(storage, other) { // its directory exists only for a mount
			return fileError(fs.ErrPermission, to)
		}
		if mover, ok := storage.(MoveDirFs); ok && source.IsDir() {
			return s.moveDir(mover, from, to, inside, target)
		}
		err = s.renameNew(from, to)
		if errors.Is(err, fs.ErrExist) && numbers { // it has appeared since lstat
			return s.renameNumbered(from, to)
		}
		if errors.Is(err, fs.ErrExist) {
			return fileError(err, to)
		}
	default:
		return fileError(err, to)
	}
	return s.renamed(from, to, err)
}

// renameNew renames a file or a directory without replacing anything. If the new name is taken, the error is fs.ErrExist.
func (s *session) renameNew(from, to string) error {
	if s.account.numbersNames(to) { // names of running uploads may be held back for them
		r := reservationOf(s.account, to)
		if !s.srv.uploads.reserve(r, false) {
			return fs.ErrExist
		}
		defer s.srv.uploads.release(r)
	}
	storage, inside := s.at(from)
	_, target := s.at(to)
	return s.recorded(s.ctx(), Change{Verb: "RNTO", Path: from, To: to}, func() error {
		return s.quotaAt(from).move(s.ctx(), from, to, func() error {
			if _, ok := storage.(RenameNewFs); !ok {
				defer s.srv.uploads.naming(reservationOf(s.account, to))()
			}
			return renameNew(storage, inside, target)
		})
	})
}

// renamed returns the reply to a rename that ended with err.
func (s *session) renamed(from, to string, err error) ftp.Reply {
	if err == nil {
		s.forgetGiven(to)
		return ftp.Replyf(250, "%s is now %s.", from, to)
	}
	blamed := from
	if _, gone := lstat(s.account.FS, from); gone == nil && !errors.Is(err, fs.ErrPermission) {
		blamed = to
	}
	return fileError(err, blamed)
}

// moveDir moves a directory file by file, in a task. As long as it runs, a line of the reply says now and then how
// far it is, so that neither the client nor a firewall takes the connection for dead.
func (s *session) moveDir(files MoveDirFs, from, to, inside, target string) ftp.Reply {
	var moved atomic.Int64
	quota := s.quotaAt(from)
	j := &task{cmd: ftp.Command{Verb: "RNTO", Arg: to}, path: to, inTurn: true, partial: 250}
	j.work = func(ctx context.Context, j *task) dtp.Result {
		every := time.NewTicker(progressEvery)
		defer every.Stop()
		over := make(chan struct{})
		defer close(over)
		go func() {
			for {
				select {
				case <-every.C:
					j.progress(fmt.Sprintf("Moving %s to %s: %d files so far", from, to, moved.Load()))
				case <-over:
					return
				}
			}
		}()
		return dtp.Result{Err: s.recorded(ctx, Change{Verb: "RNTO", Path: from, To: to}, func() error {
			return quota.move(ctx, from, to, func() error {
				return files.MoveDir(ctx, inside, target, func(n int) { moved.Store(int64(n)) })
			})
		})}
	}
	j.finish = func(res dtp.Result) ftp.Reply {
		reply := s.moved(j, from, res.Err)
		s.emitOutcome(j.cmd, from, reply)
		return reply
	}
	return s.start(j)
}

// moved returns the reply to a moveDir that ended with err.
func (s *session) moved(j *task, from string, err error) ftp.Reply {
	switch {
	case errors.Is(err, errPanicked):
		return s.verdict(j, dtp.Result{Err: err})
	case errors.Is(err, context.Canceled):
		return ftp.Replyf(451, "%s: was not moved: the command was stopped.", from)
	}
	return s.renamed(from, j.path, err)
}
