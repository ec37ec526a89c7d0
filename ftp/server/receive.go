package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// incoming is a file that is being received: an upload, which this server writes and renames, or a
// storedUpload, which the storage turns into a file itself.
type incoming interface {
	// where returns the path of the file in the session's tree, the position of the first byte, and whether the
	// name was chosen by STOU.
	where() (path string, offset int64, unique bool)

	// oldSize returns the size of the file that is to be replaced or changed, or -1 if there is none.
	oldSize() int64

	// sink returns where the bytes go.
	sink() io.Writer

	// begin is called when the data connection is open. No file that existed before is changed earlier.
	begin() error

	// beside is called if the transfer continues beside the session, in a task with the context ctx.
	beside(ctx context.Context)

	// ended is called by the owner when the data connection has ended.
	ended()

	// complete is called when all data has arrived, before commit or abandon.
	complete()

	// commit makes the file. modified, if not zero, is a time that the client is going to set. abandon is called
	// instead if the upload is not whole because of err; opened reports whether the data connection was open. abandon
	// returns how many bytes of the file can be resumed.
	commit(ctx context.Context, modified time.Time) error
	abandon(ctx context.Context, opened bool, err error) (kept int64)

	// another is called when commit has failed with errTaken. It returns true if the upload has another name now, which
	// where returns, and commit can be called again.
	another() bool

	// isRemote reports whether writing, commit and abandon may wait for the network, so that the owner of a session
	// must not do it.
	isRemote() bool
}

// receive starts the transfer of an upload: the task fills it, and finish commits or abandons it. If that may
// take long, finish starts a second task for it, and another one before it for the verdict of Options.Gate.
func (s *session) receive(u incoming, verb, arg string) ftp.Reply {
	path, offset, unique := u.where()
	room, err := s.quotaAt(path).room(s.ctx(), u.oldSize(), offset)
	if err == nil {
		err = s.canRecord(verb)
	}
	if err != nil {
		u.abandon(s.ctx(), false, nil)
		return uploadError(err, path)
	}
	checked, _ := u.(gateable)
	u, sum := s.hashUpload(u)
	j := &task{cmd: ftp.Command{Verb: verb, Arg: arg}, path: path, dir: ftp.Store, offset: offset, unique: unique, digest: sum}
	asked := s.resolve(arg)
	if j.renamed = !unique && path != asked; !j.renamed {
		asked = path
	}
	s.forgetGiven(asked)
	j.begin, j.beside, j.remote = u.begin, u.beside, u.isRemote()
	j.finish = func(res dtp.Result) ftp.Reply {
		u.ended()
		modified := s.heldTime(path, asked)
		end := func(res dtp.Result) ftp.Reply {
			if u.isRemote() {
				return s.endRemote(j, u, sum, res, modified)
			}
			return s.endUpload(j, u, sum, res)
		}
		if res.Err == nil && s.set.Gate != nil {
			return s.gated(j, checked, res, end)
		}
		return end(res)
	}
	d := dtp.Job{Sink: u.sink(), Type: s.params.Type, Marker: j.mark}
	if room < math.MaxInt64 {
		d.Bounded, d.Size = true, room
	}
	return s.transfer(j, d)
}

// endRemote ends an upload in a second task, because that waits for the network. Nothing may stop it.
func (s *session) endRemote(j *task, u incoming, sum *digest, res dtp.Result, modified time.Time) ftp.Reply {
	end := j.ends()
	var reply ftp.Reply
	var kept int64
	end.work = func(ctx context.Context, _ *task) dtp.Result {
		reply, kept = s.received(ctx, j, u, res, modified)
		if reply.Code == 226 && sum.mustRead() {
			sum.readAgain(ctx)
		}
		over := res
		over.Kept = nil // the first task has given it back
		return over
	}
	end.finish = func(over dtp.Result) ftp.Reply {
		if errors.Is(over.Err, errPanicked) {
			return s.verdict(j, over)
		}
		s.noteEnd(j, res, reply, kept)
		end.path = j.path // it may have got another name
		if s.stored = nil; reply.Code == 226 && !modified.IsZero() {
			s.stored = &storedTime{j.path, modified}
		}
		return reply
	}
	return s.start(end)
}

// endUpload ends an upload that this server writes itself, and starts one more task if it must be read again for its
// SHA-256.
func (s *session) endUpload(j *task, u incoming, sum *digest, res dtp.Result) ftp.Reply {
	reply, kept := s.received(s.ctx(), j, u, res, time.Time{})
	s.noteEnd(j, res, reply, kept)
	if reply.Code == 226 && sum.mustRead() {
		return s.start(sum.reading(j, res, reply))
	}
	return reply
}

// ends returns a second task for the end of an upload, which neither ABOR nor a lost connection stops.
func (j *task) ends() *task {
	return &task{
		cmd: j.cmd, path: j.path, dir: j.dir, offset: j.offset, opener: j.opener, protection: j.protection,
		digest: j.digest, doubt: j.doubt, ending: true,
	}
}

// received ends an upload and returns the final reply, and how many bytes are kept to be resumed.
func (s *session) received(ctx context.Context, j *task, u incoming, res dtp.Result, modified time.Time) (ftp.Reply, int64) {
	if res.Err == nil {
		u.complete()
		switch err := s.commitRecorded(ctx, j, u, res.Bytes, modified); {
		case err != nil:
			return uploadError(err, j.path), 0
		case j.unique:
			return ftp.Replyf(226, "Done: %d bytes. FILE: %s", res.Bytes, j.path), 0
		case j.renamed:
			return ftp.Replyf(226, "Stored as %s: %d bytes.", j.path, res.Bytes), 0
		}
		return s.verdict(j, res), 0
	}
	if errors.Is(res.Err, dtp.ErrMore) {
		res.Err = errQuota
	}
	kept := u.abandon(ctx, res.Opened, res.Err)
	if reply, ok := s.gateReply(j, res.Err, kept); ok {
		return reply, kept
	}
	// These errors need a more exact reply than verdict gives.
	if held, ok := errors.AsType[*holdError](res.Err); ok {
		return uploadError(held.error, j.path), kept
	}
	if noSpace(res.Err) && kept == 0 || errors.Is(res.Err, errBusy) {
		return uploadError(res.Err, j.path), kept
	}
	reply := s.verdict(j, res)
	if kept > 0 && reply.Code == 426 {
		reply.Lines[0] += fmt.Sprintf(" The first %d are kept: %s", kept, j.resumeHint(kept))
		if !u.isRemote() || u.oldSize() < 0 { // else APPE begins at the end of the existing file
			reply.Lines[0] += ", or with APPE"
		}
		reply.Lines[0] += "."
	}
	return reply, kept
}

// resumeHint says in a reply how to resume an upload of which kept bytes are kept. They belong to the name that the upload
// has got.
func (j *task) resumeHint(kept int64) string {
	hint := fmt.Sprintf("resume with REST %d and STOR", kept)
	if j.renamed {
		hint += " " + j.path
	}
	return hint
}

// noteEnd records under which name an upload was stored (see meant), or that it was the last one to be interrupted (see
// mayBeResuming).
func (s *session) noteEnd(j *task, res dtp.Result, reply ftp.Reply, kept int64) {
	if j.renamed && reply.Code == 226 {
		s.give(s.resolve(j.cmd.Arg), j.path)
	}
	if res.Err != nil && res.Opened && kept > 0 {
		s.interrupted = j.path
	}
}

// storedTime is the time that a file was stored with because the client has asked for it ahead.
type storedTime struct {
	path string
	time time.Time
}

// heldTime returns the time that the client sets for the file at path, if the next command is a held MFMT that does
// so. asked is the name that the client knows. A storage can then store the file with that time, instead of making a second version of it.
func (s *session) heldTime(path, asked string) time.Time {
	if len(s.held) == 0 || s.held[0].Verb != "MFMT" || !s.may(PermChange, path) {
		return time.Time{}
	}
	at, name, ok := timeAndPath(s.held[0].Arg)
	if p := s.resolve(name); ok && (p == path || p == asked) {
		return at
	}
	return time.Time{}
}
