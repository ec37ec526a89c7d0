package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server/internal/guard"
)

// A Gate decides about each upload that is whole, before it gets its final name (Options.Gate).
//
// CheckUpload returns nil if the upload may become visible. If the error is, or wraps, a *GateRefusal, the upload is
// removed and the client gets a 550. Any other error means that the upload could not be checked: all but its last byte
// stays hidden, so that its account can resume it and have it checked again, and the client gets a 451. A panic counts
// as such an error.
//
// CheckUpload may be called concurrently, for at most Options.MaxChecks uploads at once. ctx ends after
// Options.GateTimeout, when the client sends ABOR, and when the session ends. CheckUpload must return soon after that,
// and what it returns then is ignored. It must not keep u or what is in it.
type Gate interface {
	CheckUpload(ctx context.Context, u *GateUpload) error
}

// GateFunc is an adapter that lets a function serve as a Gate.
type GateFunc func(ctx context.Context, u *GateUpload) error

// CheckUpload calls f.
func (f GateFunc) CheckUpload(ctx context.Context, u *GateUpload) error { return f(ctx, u) }

// GateUpload is an upload about which a Gate decides.
type GateUpload struct {
	Session uint64         // ftp.Control.ID of the session
	User    string         // who has logged in
	Remote  netip.AddrPort // the client
	Verb    string         // STOR, STOU or APPE
	Path    string         // the final name, virtual and absolute
	Offset  int64          // where the last transfer began; if it is not 0, others have brought what precedes it
	Size    int64          // of the whole file

	// Content is the whole file as it will become visible, whatever Offset is.
	Content io.ReaderAt
}

// GateRefusal is the error of a Gate for an upload that must not become visible. Text is sent to the client after the
// path of the file: "refused by the virus check: Eicar-Signature".
type GateRefusal struct{ Text string }

func (e *GateRefusal) Error() string { return e.Text }

var (
	// errUnchecked is returned for an upload that could not be held back until it is checked.
	errUnchecked = errors.New("uploads are checked before they become visible")
	// errNoGate is the same for a storage none of whose uploads can be held back.
	errNoGate = errors.New("the storage can't hold uploads back until they are checked")
	// errGateTime is the cause of the end of a check after Options.GateTimeout.
	errGateTime = errors.New("the check took too long")
	// errGateQueue is the same if the check has not begun by then.
	errGateQueue = errors.New("too many other uploads are being checked")
	// errChanged is returned for an upload whose file has changed while it was checked.
	errChanged = errors.New("the file changed while it was checked")
	// errGatePanicked is returned for an upload whose check panicked.
	errGatePanicked = errors.New("the check panicked")
)

// gateFailure is the error of an upload that could not be checked.
type gateFailure struct{ error }

func (e *gateFailure) Unwrap() error { return e.error }

const maxGateText = 300 // bytes of GateRefusal.Text that are sent

// gateCheck is the check of one upload. Its run is called in a task, so it has copies of what it needs of the session.
type gateCheck struct {
	set    *settings
	slots  *guard.Queue
	keys   []any
	file   gateable
	upload GateUpload
}

// gateable is an incoming whose content can be read when it is whole, before it is visible.
type gateable interface {
	// awaitVerdict is called by the owner before the check.
	awaitVerdict()
	// hold makes the content readable, and content opens it.
	hold(ctx context.Context) error
	content(ctx context.Context) (*gateContent, error)
}

// gateContent is what a Gate reads.
type gateContent struct {
	io.ReaderAt
	size      int64
	unchanged func() error // called after the check: neither another program nor another server may have changed it
	close     func()
}

// holdError is the error of an upload that could not be held back.
type holdError struct{ error }

func (e *holdError) Unwrap() error { return e.error }

// gated starts the check of an upload that is whole, in a second task. then completes or abandons the upload. ABOR stops
// the check, but the end of the client's side does not: the upload is whole, so it becomes visible if it passes.
func (s *session) gated(j *task, file gateable, res dtp.Result, then func(dtp.Result) ftp.Reply) ftp.Reply {
	file.awaitVerdict()
	c := &gateCheck{set: s.set, slots: s.srv.checks, keys: s.hashKeys(), file: file, upload: GateUpload{
		Session: s.control.ID, User: s.identity.user, Remote: s.control.Remote, Verb: j.cmd.Verb, Path: j.path, Offset: j.offset,
	}}
	check := j.ends()
	check.ending, check.gate = false, true
	check.moved.Store(res.Bytes)
	res.Kept = nil // j has given it back
	check.work = func(ctx context.Context, _ *task) dtp.Result {
		over := res
		over.Err = c.run(ctx)
		return over
	}
	check.finish = func(res dtp.Result) ftp.Reply {
		reply := then(res)
		check.path = j.path // it may have got another name
		return reply
	}
	return s.start(check)
}

// run returns nil if the upload has passed, a *GateRefusal, the cause of the end of ctx if that is ABOR or the end of the
// session, a *holdError, or else a *gateFailure.
func (c *gateCheck) run(ctx context.Context) error {
	if err := c.file.hold(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &holdError{err}
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.set.GateTimeout, errGateTime)
	defer cancel()
	if err := c.slots.Acquire(limited, false, c.keys...); err != nil {
		if errors.Is(err, errGateTime) {
			return &gateFailure{errGateQueue}
		}
		return err
	}
	defer c.slots.Release()
	err := c.check(limited)
	refusal, refused := errors.AsType[*GateRefusal](err)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return &gateFailure{errGateTime}
	case refused:
		return refusal
	case err != nil:
		return &gateFailure{err}
	}
	return nil
}

// check calls the Gate, and makes sure that what it has read is the file that gets the final name.
func (c *gateCheck) check(ctx context.Context) error {
	content, err := c.file.content(ctx)
	if err != nil {
		return err
	}
	defer content.close()
	c.upload.Size, c.upload.Content = content.size, content
	if err := c.ask(ctx); err != nil {
		return err
	}
	return content.unchanged()
}

func (u *upload) awaitVerdict() {
	u.complete()
	u.beside(u.s.ctx()) // other servers must not take the file for abandoned meanwhile
}

func (u *upload) hold(context.Context) error { return nil }

// content opens the hidden file a second time.
func (u *upload) content(context.Context) (*gateContent, error) {
	before, err := u.own.Stat()
	if err != nil {
		return nil, err
	}
	f, err := u.own.fs.Open(u.own.name)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil && (!sameFile(opened, before) || opened.Size() != before.Size()) {
		err = errChanged
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	unchanged := func() error {
		after, err := u.own.Stat()
		if err == nil && (after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime())) {
			err = errChanged
		}
		return err
	}
	return &gateContent{ReaderAt: f, size: before.Size(), unchanged: unchanged, close: func() { _ = f.Close() }}, nil
}

// ask calls the Gate. A panic of it fails only this check.
func (c *gateCheck) ask(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.set.Log.Error("the check of an upload panicked", "session", c.upload.Session, "panic", p, "stack", string(debug.Stack()))
			err = errGatePanicked
		}
	}()
	return c.set.Gate.CheckUpload(ctx, &c.upload)
}

// canBeGated reports whether the hidden file of an upload can be read while the upload has it open. That is known of
// files on disk and in memory.
func (u *upload) canBeGated() bool {
	if u.own.identify() != nil {
		return false
	}
	_, known := fileID(u.own.info)
	_, file := u.own.File.(*os.File)
	return known || file
}

// gateReply returns the reply to an upload that the Gate has not passed, and reports it to the Observer. kept is how
// many bytes can be resumed. It returns false if err is of another kind.
func (s *session) gateReply(j *task, err error, kept int64) (ftp.Reply, bool) {
	if no, ok := errors.AsType[*GateRefusal](err); ok {
		text := ftp.Printable(clip(no.Text, maxGateText))
		if text == "" {
			text = "refused by the check of uploads"
		}
		s.emit(ftp.Refused{Why: text, Reason: ftp.ReasonGate, Verb: j.cmd.Verb, Path: clip(j.path, maxPath)})
		return ftp.Replyf(550, "%s: %s", j.path, text), true
	}
	failure, ok := errors.AsType[*gateFailure](err)
	if !ok {
		return ftp.Reply{}, false
	}
	why := failure.Error()
	var path *fs.PathError
	if errors.As(failure.error, &path) {
		why = path.Err.Error() // without a path of the host
	}
	s.emit(ftp.Refused{Why: "the upload could not be checked: " + why, Reason: ftp.ReasonUnchecked, Verb: j.cmd.Verb, Path: clip(j.path, maxPath)})
	text := fmt.Sprintf("%s: could not be checked now, so it is not visible", j.path)
	switch {
	case errors.Is(err, errGateTime):
		text += fmt.Sprintf(": the check took longer than %v", s.set.GateTimeout)
	case errors.Is(err, errGateQueue):
		text += ": too many other uploads are being checked"
	}
	if kept > 0 {
		text += fmt.Sprintf(". All but its last byte is kept: to have it checked again, %s, or send the whole file", j.resumeHint(kept))
	} else {
		text += ". Nothing is kept: send it again later"
	}
	return ftp.NewReply(451, text+"."), true
}

// shorten removes the last byte of an upload that was whole when its server was killed, perhaps during a check. What is
// kept must always lack something: SIZE returns how much of an upload is kept, and a client that finds all of it there
// would take the upload for complete.
func shorten(fsys afero.Fs, name string, found fs.FileInfo) error {
	f, err := openFile(fsys, name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	now, err := f.Stat()
	if err == nil && (!sameFile(now, found) || now.Size() != found.Size()) {
		err = errMoved
	}
	if err != nil {
		return err
	}
	return f.Truncate(found.Size() - 1)
}

// gateDefaults and checkGate are the part of Options that is about the Gate.
func (o *Options) gateDefaults() {
	defaultTo(&o.GateTimeout, time.Minute)
	defaultTo(&o.MaxChecks, 8)
}

func (o *Options) checkGate() error {
	switch {
	case o.GateTimeout < 0:
		return fmt.Errorf("the duration %v is negative", o.GateTimeout)
	case o.MaxChecks < 0:
		return errors.New("a limit is negative")
	case o.Gate != nil && o.UploadInPlace:
		return errors.New("Options.Gate and UploadInPlace exclude each other: uploads in place are visible before they can be checked")
	}
	return nil
}
