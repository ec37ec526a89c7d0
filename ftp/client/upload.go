package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// Upload copies the local file to remote. If remote exists, it is kept until the new file is whole
// under another name, if the server allows renaming. Afterwards Upload compares the size that the
// server reports, if it reports one. With Resume it continues the server's file after comparing its
// last bytes, if they may be read; a file that differs or is larger is a *ResumeError. A failure of
// the local side is a *LocalError.
func (c *Client) Upload(ctx context.Context, local, remote string, o FileOptions) (Result, error) {
	return o.tried(ctx, c.lasts, func(o FileOptions) (Result, error) {
		return c.upload(ctx, o.fs(), local, remote, o)
	})
}

// upload is one try of an Upload.
func (c *Client) upload(ctx context.Context, fsys afero.Fs, local, remote string, o FileOptions) (Result, error) {
	if err := sendable(remote, o.rename); err != nil {
		return Result{}, err
	}
	if err := c.begin(); err != nil {
		return Result{}, err
	}
	defer c.end()
	f, err := fsys.Open(local)
	if err != nil {
		return Result{}, &LocalError{Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "upload", Path: local, Err: syscall.EISDIR}
	}
	if err != nil {
		return Result{}, &LocalError{Err: err}
	}
	u := upload{c: c, f: bare(f), local: local, remote: remote, to: remote, o: o, size: -1, v: localVersion(info)}
	if info.Mode().IsRegular() {
		u.size = info.Size()
	}
	return u.run(ctx)
}

// upload is one Upload in progress. Its life, by method:
//
//	run     choose a name (choose), then whole
//	whole   restart: find the offset; send; confirm: compare the size, set the time, RNFR;
//	        finish: what confirm could not do, and the rename (place)
//	run     if the server refuses the hidden name or the rename: whole again, to the final name
type upload struct {
	c             *Client
	f             afero.File
	local, remote string
	to            string // the name written to; renamed to o.rename unless that is empty
	o             FileOptions
	size          int64   // of the local file, -1 if it is not a regular file
	v             version // of the local file
	resumes       bool    // the server's file at to may be continued
}

// whole sends the file, and gives it its time and its name.
func (u *upload) whole(ctx context.Context) (Result, error) {
	offset, err := u.restart(ctx)
	var other *ResumeError
	if errors.As(err, &other) && !u.o.Resume {
		offset, err = 0, nil
	}
	if err != nil {
		return Result{}, err
	}
	if offset > 0 && offset == u.size {
		return Result{Mode: u.c.opts.Mode, Verified: "size"}, u.finish(ctx, confirmed{})
	}
	res, err := u.send(ctx, offset)
	var no *ftp.Error
	if offset > 0 && errors.As(err, &no) && no.Verb == "REST" && isReply(err) {
		offset = 0
		res, err = u.send(ctx, 0)
	}
	// Recorded before any check can fail, so that the next try recognises what this one has sent.
	u.o.tries.sent(u.to, offset+res.Bytes, u.v)
	// The beginning came from an earlier try. The local file must still be the same.
	if err == nil && offset > 0 {
		err = u.unchanged()
	}
	if err != nil {
		return res, err
	}
	got, err := u.confirm(ctx)
	if got.size >= 0 {
		o := outcome{final: res.Final, sent: offset + res.Bytes, there: got.size}
		if wrong := o.verdict(); wrong != nil {
			return res, wrong
		}
		res.Verified = "size and reply"
	}
	if err != nil {
		return res, err
	}
	return res, u.finish(ctx, got)
}

// unchanged makes sure that a local file whose beginning was sent by an earlier try has not changed.
func (u *upload) unchanged() error {
	info, err := u.f.Stat()
	if err != nil {
		return &LocalError{Err: err}
	}
	o := outcome{before: u.v, after: localVersion(info)}
	return o.verdict()
}

// finish sets the time and the name of a whole file, as far as confirm has not done so.
func (u *upload) finish(ctx context.Context, got confirmed) error {
	if u.keepsTime() && !got.timed {
		got.from = ftp.Reply{} // RNTO must follow RNFR immediately (RFC 959 §4.1.3)
		err := u.c.setModTime(ctx, u.to, u.v.modified)
		if err != nil && !isReply(err) && !u.wholeWithoutTime() {
			return err
		}
	}
	if u.o.rename == "" {
		return nil
	}
	if old := u.o.Replaces; old != nil && old.HasMode && old.Mode.Perm() != usualMode {
		got.from = ftp.Reply{}
		if _, err := u.c.do(ctx, "SITE", fmt.Sprintf("CHMOD %03o %s", old.Mode.Perm(), u.to)); err != nil && !isReply(err) {
			return err
		}
	}
	no := refusal("RNFR", got.from)
	if got.from.Code != 0 && no == nil {
		_, no = u.c.do(ctx, "RNTO", u.o.rename)
		if no == nil {
			return nil
		}
	}
	if no != nil && !isReply(no) {
		return no
	}
	return u.c.place(ctx, u.to, u.o.rename, u.o.Replaces != nil, no)
}

// usualMode is the mode that servers give to new files. If the replaced file has another mode, the
// new one is given that.
const usualMode = 0o644

func (u *upload) keepsTime() bool { return u.o.KeepTime && !u.c.history.noTime.Load() }

// wholeWithoutTime reports whether the upload succeeds even if the connection fails before its time
// is set. A mirror (Beside) needs the time.
func (u *upload) wholeWithoutTime() bool { return u.o.rename == "" && !u.o.Beside }

// learnTime records whether the server could set a time. A refusal may concern the given time, so it
// counts only if the server has never set one.
func (h *history) learnTime(err error) {
	if err == nil {
		h.setsTime.Store(true)
	} else if refused(err) && !h.setsTime.Load() {
		h.noTime.Store(true)
	}
}

// confirmed is what a server has replied about a file that it stored.
type confirmed struct {
	size  int64     // -1: not reported
	timed bool      // the time is set, or can't be
	from  ftp.Reply // the reply to RNFR
}

// confirm asks for the size of the stored file, sets its time and sends RNFR, in one write if the
// server supports that. None of these does harm to a file that is not whole. If nothing but the size
// is wanted, the final reply is enough, even if the connection has failed meanwhile.
func (u *upload) confirm(ctx context.Context) (got confirmed, err error) {
	c := u.c
	var cmds []ftp.Command
	if !u.o.ASCII && c.hasSize() {
		cmds = append(cmds, ftp.Command{Verb: "SIZE", Arg: u.to})
	}
	if ways := c.timing(u.to, u.v.modified); u.keepsTime() && len(ways) > 0 {
		cmds = append(cmds, ways[0])
	}
	if u.o.rename != "" {
		cmds = append(cmds, ftp.Command{Verb: "RNFR", Arg: u.to})
	}
	replies, err := c.doAll(ctx, cmds...)
	got.size = -1
	for i, r := range replies {
		switch verb := cmds[i].Verb; verb {
		case "SIZE":
			got.size = c.sizeIn(r)
		case "RNFR":
			got.from = r
		default:
			no := refusal(verb, r)
			if got.timed = settled(verb, no); got.timed {
				c.history.learnTime(no)
			}
		}
	}
	if u.o.rename == "" && (!u.o.KeepTime || u.wholeWithoutTime()) {
		err = nil
	}
	return got, err
}

// earlySize is the largest file that is sent to a server of the table of batchers without waiting
// for the 150. It fits into the buffers of the sockets. If the server refuses it, the bytes are lost
// and are read from the file again for the next try.
const earlySize = 64 << 10

func (u *upload) send(ctx context.Context, offset int64) (Result, error) {
	j := &job{source: u.f}
	j.fill("STOR", ftp.Store, Transfer{
		Path: u.to, Offset: offset, Size: u.size, ASCII: u.o.ASCII, Progress: u.o.Progress,
	})
	if u.size >= 0 {
		j.length = u.size - offset
		j.rewind = func() error {
			_, err := u.f.Seek(offset, io.SeekStart)
			return err
		}
		if _, err := u.f.Seek(offset, io.SeekStart); err != nil {
			return Result{}, &LocalError{Err: err}
		}
		j.early = j.length <= earlySize && u.c.batches()
	}
	return u.c.transfer(ctx, j)
}

// restart returns the offset at which to continue, 0 if the file must be sent whole. The size of the
// server's file does not show that it is the beginning of this one, so its last bytes are compared.
// If they may not be read, as in an upload-only directory, the size has to be sufficient.
func (u *upload) restart(ctx context.Context) (int64, error) {
	if !u.resumes || u.o.ASCII || u.size < 0 {
		return 0, nil
	}
	there, err := u.c.askSize(ctx, u.to)
	if err != nil || there <= 0 {
		return 0, err
	}
	if !u.o.Resume && u.o.tries.before(u.to) >= 0 && there > u.o.tries.before(u.to) {
		return 0, nil // more than earlier tries have sent: another file
	}
	if there > u.size {
		return 0, u.resumeError(there, fmt.Sprintf("the local file has only %d bytes", u.size))
	}
	want, err := lastBytes(u.f, there)
	if err != nil {
		return 0, err
	}
	same := false
	o := &overlap{n: len(want), short: &TruncatedError{Want: there, Got: there - int64(len(want))}}
	o.check = func(got []byte) error {
		same = bytes.Equal(got, want)
		return nil
	}
	j := &job{unbounded: true}
	u.c.expect(j, tooMuch{}, o)
	j.fill("RETR", ftp.Retrieve, Transfer{Path: u.to, Offset: there - int64(len(want)), Size: there})
	res, err := u.c.transfer(ctx, j)
	err = o.settle(&res, err)
	var no *ftp.Error
	switch {
	case errors.Is(err, errTooMuch):
		return 0, u.resumeError(there, "the server does not begin at the requested offset")
	case isReply(err) && errors.As(err, &no) && no.Verb == "REST":
		return 0, nil
	case isReply(err):
		return there, nil // it may not be read: an upload-only directory
	case err != nil:
		return 0, err
	case !same:
		return 0, u.resumeError(there, "the server's file differs from the local one")
	}
	return there, nil
}

func (u *upload) resumeError(at int64, why string) error {
	return &ResumeError{Path: u.remote, Offset: at, Why: why}
}

// errTooMuch is returned for a transfer that brings more than the overlap.
var errTooMuch = errors.New("more bytes came than were asked for")

// tooMuch is the sink of a transfer that is to bring nothing but the overlap.
type tooMuch struct{}

func (tooMuch) Write(b []byte) (int, error) { return 0, errTooMuch }
