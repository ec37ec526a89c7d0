package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// Journal records changes before they are made, so that none of them is missing in the record after the server was
// killed, or lost power. An Observer can't do that: it gets an event only after the change.
//
// The methods may be called by several goroutines at once. Each call makes only the session wait whose change it is.
type Journal interface {
	// Ready returns an error if a change by verb can't be recorded now. It is called before an upload begins, so that
	// the client does not send a file in vain. It must not block.
	Ready(verb string) error

	// Begin records that c is about to be made, or, after a download or a login, that it was. If it returns an
	// error, the change is not made, or not confirmed: the client gets a 452 (a 421 after a login) and may try again.
	//
	// end, if not nil, is called once when the outcome is known, before the reply is sent. If the server is killed
	// in between, Change.Made finds out later whether the change was made.
	Begin(ctx context.Context, c Change) (end func(made bool), err error)
}

// Change is a change that a client makes, for a Journal: an upload, a deletion, a rename, or a directory that is made or
// removed. Complete downloads and logins are reported as changes, too.
type Change struct {
	Control *ftp.Control
	User    string // as the client has logged in
	// Verb is STOR, STOU, APPE, DELE, RNTO, MKD or RMD; RETR for a download, and USER for a login.
	Verb   string
	Path   string // virtual and absolute; "" for a login
	To     string // of RNTO: the new path, virtual and absolute; else ""
	Offset int64  // of a transfer: the offset that REST set
	Bytes  int64  // of a transfer: the number of bytes on the data connection
	SHA256 string // as in ftp.TransferDone, unless an upload has to be read again for it
	Before FileState
}

// FileState is what was at a path at some time.
type FileState struct {
	Exists   bool
	Size     int64
	Modified time.Time
}

func (f FileState) equal(g FileState) bool {
	return f.Exists == g.Exists && f.Size == g.Size && f.Modified.Equal(g.Modified)
}

// journalSlack is how far the clock of a storage may be off when Made compares times.
const journalSlack = time.Minute

// Made reports whether the change, which began at the time began, was made. It looks at the files and compares them
// with Before. If that leaves a doubt about an upload, it returns true.
func (c Change) Made(files afero.Fs, began time.Time) (bool, error) {
	switch c.Verb {
	case "STOR", "STOU", "APPE":
		now, err := stateOf(files.Stat(c.Path))
		doubt := !c.Before.Modified.Before(began.Add(-journalSlack)) // two uploads in a short time may look alike
		return now.Exists && (doubt || !now.equal(c.Before)), err
	case "DELE", "RMD":
		now, err := stateOf(lstat(files, c.Path))
		return !now.Exists && err == nil, err
	case "RNTO":
		from, err := lstat(files, c.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		} else if err != nil {
			return false, err
		}
		to, err := lstat(files, c.To)
		return err == nil && isSameFile(from, to), nil // another spelling of the name
	case "MKD":
		fi, err := lstat(files, c.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil && fi.IsDir(), err
	}
	return true, nil
}

// stateOf returns the state of the file that fi describes. That it does not exist is no error.
func stateOf(fi fs.FileInfo, err error) (FileState, error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return FileState{}, nil
	case err != nil:
		return FileState{}, err
	}
	return FileState{Exists: true, Size: fi.Size(), Modified: fi.ModTime().Round(0).UTC()}, nil
}

// unrecordedError is the error of a change that the Journal could not record. Clients must not see err.
type unrecordedError struct{ err error }

func (e *unrecordedError) Error() string { return "not recorded: " + e.err.Error() }
func (e *unrecordedError) Unwrap() error { return nil } // a full disk here is not that of the client's files

// unrecorded returns the reply for a change at path that failed with err, if that is an unrecordedError.
func unrecorded(err error, path string) (ftp.Reply, bool) {
	if _, ok := errors.AsType[*unrecordedError](err); !ok {
		return ftp.Reply{}, false
	}
	return ftp.Replyf(452, "%s: the server can't record that now, so it is not done. Try again later.", path), true
}

// canRecord returns an error if the Journal can't record a change by verb now.
func (s *session) canRecord(verb string) error {
	if s.set.Journal == nil {
		return nil
	}
	if err := s.set.Journal.Ready(verb); err != nil {
		return s.noteUnrecorded(err)
	}
	return nil
}

func (s *session) noteUnrecorded(err error) error {
	s.set.Log.Warn("a change was refused because it can't be recorded", "session", s.control.ID, "err", err)
	return &unrecordedError{err}
}

// recorded makes a change, and records it in the Journal.
func (s *session) recorded(ctx context.Context, c Change, change func() error) error {
	if s.set.Journal == nil {
		return change()
	}
	c.Control, c.User = &s.control, s.identity.user
	files := s.account.FS
	if c.Path != "" && c.Verb != "RETR" {
		look := func(p string) (fs.FileInfo, error) { return lstat(files, p) }
		if ftp.Stores(c.Verb) {
			look = files.Stat // an upload writes through a link
		}
		c.Before, _ = stateOf(look(c.Path))
	}
	began := time.Now()
	end, err := s.set.Journal.Begin(ctx, c)
	if err != nil {
		return s.noteUnrecorded(err)
	}
	made := false
	if end != nil {
		defer func() { end(made) }()
	}
	err = change()
	made = err == nil
	if err != nil && !wasRefused(err) { // such as a timeout of a bucket, or an fsync that failed after the rename
		made, _ = c.Made(files, began)
	}
	return err
}

// wasRefused reports whether an error of an upload says that the server did not make the file.
func wasRefused(err error) bool {
	for _, refusal := range []error{errExists, errIsDir, errTaken, errAppeared, errMoved, errBusy, errQuota, errTally, fs.ErrExist, fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// commitRecorded commits an upload, and records it. If it can't be recorded, the upload is kept to be resumed.
func (s *session) commitRecorded(ctx context.Context, j *task, u incoming, bytes int64, modified time.Time) error {
	committed := false
	commit := func() error {
		committed = true
		return u.commit(ctx, modified)
	}
	c := Change{Verb: j.cmd.Verb, Offset: j.offset, Bytes: bytes}
	if s.set.Journal != nil && !j.digest.mustRead() {
		c.SHA256 = j.digest.sha256()
	}
	var err error
	for again := true; again; {
		committed, c.Path = false, j.path
		err = s.recorded(ctx, c, commit)
		if again = errors.Is(err, errTaken) && u.another(); again { // the Journal hears of the other name, too
			j.path, _, _ = u.where()
			j.renamed = true
		}
	}
	if !committed {
		u.abandon(ctx, true, err)
	}
	return err
}

// recordLogin records a login as user. It returns the refusal if that fails.
func (s *session) recordLogin(user string) *refusal {
	if s.set.Journal == nil {
		return nil
	}
	end, err := s.set.Journal.Begin(s.ctx(), Change{Control: &s.control, User: user, Verb: "USER"})
	if err != nil {
		return &refusal{text: "The server can't record your login now. Try again later.", why: fmt.Sprintf("the login can't be recorded: %v", err), reason: ftp.ReasonOther}
	}
	if end != nil {
		end(true)
	}
	return nil
}
