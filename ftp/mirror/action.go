package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Action is one step of Run.
type Action struct {
	Kind   Kind
	Stage  Stage
	Path   string        // below the roots, with slashes; "" is the root itself
	Dir    bool          // for Remove: the name is a directory
	Size   int64         // for CopyFile: size of the file in bytes, -1 if unknown
	Why    string        // for CopyFile "new", "size", "time", "content" or "newer"; for LeaveOut the reason
	Target string        // for MakeLink
	Result client.Result // for a CopyFile that is done
	Err    error         // nil: it succeeded
}

// Kind is the type of an Action.
type Kind uint8

// The kinds.
const (
	CopyFile Kind = iota
	MakeDir
	Remove
	MakeLink
	SetMode
	SetTime
	LeaveOut // something is skipped, such as a link
	ListDir  // reading a directory; reported only if it fails
)

func (k Kind) String() string {
	names := [...]string{"copy", "mkdir", "delete", "link", "chmod", "time", "skip", "list"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Stage is the progress of an Action. Every Action is reported once as Done. A CopyFile is also reported
// as Planned and, except in a dry run, as Begun.
type Stage uint8

// The stages.
const (
	Done Stage = iota
	Planned
	Begun
)

// Result counts what Run did, or would have done in a dry run.
type Result struct {
	Files     int64 // copied
	Bytes     int64 // transferred; in a dry run: the size of the files to be copied
	Unchanged int64 // files that were the same
	Dirs      int64 // created
	Links     int64 // created
	Changed   int64 // times and modes that were set, other than those of copies
	Deleted   int64
	Skipped   int64
	Failed    int64
	Took      time.Duration
}

// ErrMaxDelete is returned if more than Plan.MaxDelete names would have been removed.
var ErrMaxDelete = errors.New("the limit of deletions was reached; nothing more was deleted")

// errInWay is returned for a directory with the name of a file or link to be made.
var errInWay = errors.New("a directory of that name is in the way")

// Error is returned for an Action that failed.
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

// failed returns err as an *Error, and finds out which side failed.
func (m *mirror) failed(kind Kind, rel string, err error) *Error {
	e := &Error{Kind: kind, Path: rel, Err: err}
	var there *dstError
	var local *client.LocalError
	_, up := m.dst.(*remoteSide)
	_, down := m.src.(*remoteSide)
	switch isLocal := errors.As(err, &local); {
	case kind == MakeDir, kind == Remove, kind == MakeLink, kind == SetMode, kind == SetTime, errors.As(err, &there):
		e.Dst = true
	case up != down && kind == CopyFile: // one side is a server; a local error concerns the other one
		e.Dst = isLocal == down
	}
	return e
}

// dstError marks an error of the destination if nothing else shows the side.
type dstError struct{ err error }

func (e *dstError) Error() string { return e.err.Error() }
func (e *dstError) Unwrap() error { return e.err }

func atDst(err error) error {
	if err == nil {
		return nil
	}
	return &dstError{err}
}

// report passes an Action to Observe, and counts it when it is done.
func (m *mirror) report(ctx context.Context, a Action) {
	if a.Err != nil && ctx.Err() != nil {
		return // the mirror was stopped, so this is only a consequence
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
			m.cancel(a.Err) // all later failures are consequences of this one
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

func (m *mirror) countUnchanged() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.res.Unchanged++
}
