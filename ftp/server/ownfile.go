package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/afero"
)

// ownFile is a file that this server is writing: the open file, its name, and its
// identity. It removes and renames a name only while that name leads to this file, as
// names change hands while an upload runs.
type ownFile struct {
	afero.File
	fs   afero.Fs
	name string      // in fs
	info fs.FileInfo // which file it is
	made bool        // this server created it, and may remove it
}

// openOwn opens a file to write to it. With os.O_EXCL it is a new one.
func openOwn(fsys afero.Fs, name string, flag int, perm fs.FileMode) (*ownFile, error) {
	f, err := openFile(fsys, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &ownFile{File: f, fs: fsys, name: name, made: flag&os.O_EXCL != 0}, nil
}

// identify finds out which file it is. It must be called before Close.
func (f *ownFile) identify() error {
	if f.info != nil {
		return nil
	}
	info, err := f.Stat()
	f.info = info
	return err
}

// at reports whether name leads to this file.
func (f *ownFile) at(name string) bool {
	now, err := f.fs.Stat(name)
	return err == nil && f.info != nil && sameFile(now, f.info)
}

// reopen opens the file again, after Close. The error is fs.ErrNotExist if its name
// leads to another file now.
func (f *ownFile) reopen() (afero.File, error) {
	again, err := openOwn(f.fs, f.name, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	if err = again.identify(); err == nil && !sameFile(again.info, f.info) {
		err = fs.ErrNotExist
	}
	if err != nil {
		_ = again.Close()
		return nil, err
	}
	return again.File, nil
}

// remove removes the file if this server made it and it still has its name.
func (f *ownFile) remove() {
	if f.made && f.at(f.name) {
		_ = f.fs.Remove(f.name)
	}
}

// moveNew gives the file a name that nothing has: else the error is fs.ErrExist. If its
// own name leads to another file, the error is fs.ErrNotExist.
func (f *ownFile) moveNew(name string) error { return f.move(name, renameNew) }

// moveOver gives the file a name and replaces the file that has it.
func (f *ownFile) moveOver(name string) error {
	return f.move(name, func(fsys afero.Fs, from, to string) error { return fsys.Rename(from, to) })
}

func (f *ownFile) move(name string, rename func(fsys afero.Fs, from, to string) error) error {
	if f.info != nil && !f.at(f.name) {
		return fs.ErrNotExist
	}
	if err := rename(f.fs, f.name, name); err != nil {
		return err
	}
	f.name = name
	return nil
}

// uploads are the uploads of one Server that are running. Only what is done to files
// that are not in it is decided by what is on the disk.
type uploads struct {
	mu       sync.Mutex
	hidden   map[string]time.Time // since when the partial upload of that name is written to
	inPlace  map[any]*finalFile   // the files that are written to in place
	reserved map[reservation]struct{}
	seen     sightings
	since    time.Time

	// parts is set when an interrupted upload was kept since the start, or was found:
	// only then is there one to look for.
	parts atomic.Bool
}

// finalFile is a file that uploads write to in place.
type finalFile struct {
	opens   int  // uploads that have it open
	writers int  // those that write to it; exclusive: one has it for itself
	made    bool // one of them made it, and none has completed it yet
}

const exclusive = -1

// reservation is a name that a STOU has told its client.
type reservation struct{ fs, path string }

func newUploads() *uploads {
	return &uploads{hidden: map[string]time.Time{}, inPlace: map[any]*finalFile{}, reserved: map[reservation]struct{}{}, seen: sightings{}, since: time.Now()}
}

func (u *uploads) add(hidden string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hidden[hidden] = time.Now()
}

func (u *uploads) drop(hidden string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.hidden, hidden)
}

// older returns the partial uploads to base by owner, in any directory, that began before
// that moment.
func (u *uploads) older(base string, owner uint32, than time.Time) (names []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, since := range u.hidden {
		if n, ok := parsePartial(name); since.Before(than) && ok && n.fits(base, owner) {
			names = append(names, name)
		}
	}
	return names
}

// runs reports whether a partial upload of that name is being written to.
func (u *uploads) runs(hidden string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.hidden[hidden]
	return ok
}

// open notes that an upload has opened a file to write to it in place.
func (u *uploads) open(id any, made bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.inPlace[id]
	if f == nil {
		f = &finalFile{}
		u.inPlace[id] = f
	}
	f.opens++
	f.made = f.made || made
}

// shut undoes open. It reports whether the file may be removed if it is of no use: no
// other upload has it open, one of them made it, and none has completed it.
func (u *uploads) shut(id any, completed bool) (removable bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.inPlace[id]
	f.opens--
	f.made = f.made && !completed
	if f.opens == 0 {
		delete(u.inPlace, id)
	}
	return f.made && f.opens == 0
}

// errBusy is returned when another upload is writing to the file.
var errBusy = errors.New("another upload is writing to it")

// enter notes that an upload that has the file open begins to write; leave undoes it.
// Uploads that append may share a file, as each of their writes goes to its end; others
// would mix theirs.
func (u *uploads) enter(id any, appends bool) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch f := u.inPlace[id]; {
	case appends && f.writers >= 0:
		f.writers++
	case !appends && f.writers == 0:
		f.writers = exclusive
	default:
		return errBusy
	}
	return nil
}

func (u *uploads) leave(id any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.inPlace[id]
	f.writers = max(0, f.writers-1)
}

// reserve keeps a name for one upload. It reports whether nobody else has it.
func (u *uploads) reserve(r reservation) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, taken := u.reserved[r]; taken {
		return false
	}
	u.reserved[r] = struct{}{}
	return true
}

func (u *uploads) release(r reservation) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.reserved, r)
}

func (u *uploads) isReserved(account *Account, p string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.reserved) == 0 { // nearly always
		return false
	}
	_, taken := u.reserved[reserves(account, p)]
	return taken
}

// reserves makes the reservation of a path in the tree of an account.
func reserves(account *Account, p string) reservation {
	return reservation{fmt.Sprintf("%p", account.FS), p} // afero wrappers are pointers; any other is taken for one tree
}
