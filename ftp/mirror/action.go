package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Action is one thing that Run does.
type Action struct {
	Kind   Kind
	Stage  Stage
	Path   string        // below the roots, with slashes; "" is the root itself
	Dir    bool          // of Remove
	Size   int64         // of CopyFile: bytes of the file, -1 if unknown
	Why    string        // "new", "size", "time", "content", "newer" for CopyFile; a reason for LeaveOut
	Target string        // of MakeLink
	Result client.Result // of a CopyFile that is done
	Err    error         // why it failed
}

// Kind is what an Action does.
type Kind uint8

// The kinds.
const (
	CopyFile Kind = iota
	MakeDir
	Remove
	MakeLink
	SetMode
	SetTime
	LeaveOut // what is left out, such as a link
	ListDir  // reading a directory: told only when it fails
)

func (k Kind) String() string {
	names := [...]string{"copy", "mkdir", "delete", "link", "chmod", "time", "skip", "list"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Stage is how far an Action is. Each one is told as done once; a CopyFile also as
// planned and, but for a dry run, as begun.
type Stage uint8

// The stages.
const (
	Done Stage = iota
	Planned
	Begun
)

// Result counts what Run did, or would have done.
type Result struct {
	Files     int64 // copied
	Bytes     int64 // that went over; of a dry run: that are in those files
	Unchanged int64 // files that were the same
	Dirs      int64 // made
	Links     int64 // made
	Changed   int64 // times and modes that were set, beside copies
	Deleted   int64
	Skipped   int64
	Failed    int64
	Took      time.Duration
}

// ErrMaxDelete is returned if more than Plan.MaxDelete names would have been removed.
var ErrMaxDelete = errors.New("more would have been deleted than is allowed; nothing more was")

// errInWay is a directory where a file should be.
var errInWay = errors.New("a directory of that name is in the way")

// Error is an Action that failed.
type Error struct {
	Kind Kind
	Path string
	Dst  bool // it failed at the destination, not at the source
	Err  error
}

func (e *Error) Error() string {
	name := e.Path
	if name == "" {
		name = "."
	}
	return fmt.Sprintf("%s: %v", ftp.Printable(name), e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// failed returns the Error of err.
func (m *mirror) failed(kind Kind, rel string, err error) *Error {
	e := &Error{Kind: kind, Path: rel, Err: err}
	var there *dstError
	var local *client.LocalError
	_, up := m.dst.(*remoteSide)
	_, down := m.src.(*remoteSide)
	switch isLocal := errors.As(err, &local); {
	case kind == MakeDir, kind == Remove, kind == MakeLink, kind == SetMode, kind == SetTime, errors.As(err, &there):
		e.Dst = true
	case up != down && kind == CopyFile:
		e.Dst = isLocal == down
	}
	return e
}

// dstError marks an error of the destination where nothing else tells its side.
type dstError struct{ err error }

func (e *dstError) Error() string { return e.err.Error() }
func (e *dstError) Unwrap() error { return e.err }

func atDst(err error) error {
	if err == nil {
		return nil
	}
	return &dstError{err}
}

// tell passes an Action on, and counts it when it is done.
func (m *mirror) tell(ctx context.Context, a Action) {
	if a.Err != nil && ctx.Err() != nil {
		return // it is what came of stopping
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.Stage == Done {
		m.count(&a)
	}
	if m.o.Observe != nil {
		m.o.Observe(a)
	}
}

func (m *mirror) count(a *Action) {
	if a.Err != nil {
		m.res.Failed++
		a.Err = m.failed(a.Kind, a.Path, a.Err)
		if len(m.errs) < maxErrors {
			m.errs = append(m.errs, a.Err)
		}
		if hopeless(a.Err) {
			m.cancel(a.Err) // what fails from now on fails because of this
		}
		return
	}
	switch a.Kind {
	case CopyFile:
		m.res.Files++
		if m.o.DryRun {
			m.res.Bytes += max(a.Size, 0)
		} else {
			m.res.Bytes += a.Result.Bytes
		}
	case MakeDir:
		m.res.Dirs++
	case Remove:
		m.res.Deleted++
	case MakeLink:
		m.res.Links++
	case SetMode, SetTime:
		m.res.Changed++
	case LeaveOut:
		m.res.Skipped++
	}
}

func (m *mirror) same() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.res.Unchanged++
}
