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

// ownFile is a file that this server is writing, with its name and identity. Other sessions and processes may
// rename, replace or remove the name while an upload runs. Therefore ownFile renames or removes its name only
// after checking that the name still leads to this file.
type ownFile struct {
	afero.File
	fs   afero.Fs
	name string      // in fs
	info fs.FileInfo // its identity; nil until identify
	made bool        // this server created it and may remove it
}

// openOwn opens a file to write to it. If flag has os.O_EXCL, the file is new.
func openOwn(fsys afero.Fs, name string, flag int, perm fs.FileMode) (*ownFile, error) {
	f, err := openFile(fsys, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &ownFile{File: f, fs: fsys, name: name, made: flag&os.O_EXCL != 0}, nil
}

// identify records the identity of the file. It must be called before Close.
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

// reopen opens the file again after Close. The error is fs.ErrNotExist if its name leads to another file now.
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

// remove removes the file if this server made it and its name still leads to it.
func (f *ownFile) remove() {
	if f.made && f.at(f.name) {
		_ = f.fs.Remove(f.name)
	}
}

// moveNew renames the file to a name that must not exist; else the error is fs.ErrExist. If the file has lost
// its own name, the error is fs.ErrNotExist.
func (f *ownFile) moveNew(name string) error { return f.move(name, renameNew) }

// moveOver renames the file and replaces a file that has the new name.
func (f *ownFile) moveOver(name string) error {
	return f.move(name, func(fsys afero.Fs, from, to string) error { return fsys.Rename(from, to) })
}

// move renames the file with the given function, after checking that its old name still leads to it.
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

// uploads are the running uploads of one Server. The decisions about files that are not in it, such as those of
// other servers, depend on what is on the disk. Its methods are safe for concurrent use.
type uploads struct {
	mu       sync.Mutex
	hidden   map[string]time.Time // hidden names that are written to, and since when
	inPlace  map[any]*finalFile   // files that are written to in place, by identity
	reserved map[reservation]bool // names that STOU has announced (true), or that only uploads with numbers avoid
	seen     sightings            // of sweeps
	names    [64]sync.Mutex       // see naming; each for a part of all names
	since    time.Time            // when the server started

	// parts is set once an interrupted upload exists: one was kept since the start, or a sweep has found one.
	// While it is false no upload needs to look for one.
	parts atomic.Bool
}

// finalFile is a file that uploads write to in place.
type finalFile struct {
	opens   int  // uploads that have it open
	writers int  // uploads that write to it; or exclusive
	made    bool // an upload has created it, and none has completed it

	counted int64 // the size that is counted for quotas; -1: the file is not counted yet
}

// exclusive is the value of finalFile.writers while one upload, which does not append, writes to the file.
const exclusive = -1

// reservation is a name in one storage.
type reservation struct{ fs, path string }

func newUploads() *uploads {
	return &uploads{hidden: map[string]time.Time{}, inPlace: map[any]*finalFile{}, reserved: map[reservation]bool{}, seen: sightings{}, since: time.Now()}
}

func (u *uploads) addHidden(hidden string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hidden[hidden] = time.Now()
}

func (u *uploads) dropHidden(hidden string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.hidden, hidden)
}

// runningBefore returns the hidden names of running uploads to base by owner, in any directory, that began
// before the given time.
func (u *uploads) runningBefore(base string, owner uint32, before time.Time) (names []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, since := range u.hidden {
		if n, ok := parsePartial(name); since.Before(before) && ok && n.fits(base, owner) {
			names = append(names, name)
		}
	}
	return names
}

// isRunning reports whether the file with that hidden name is being written to.
func (u *uploads) isRunning(hidden string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	_, ok := u.hidden[hidden]
	return ok
}

// open records that an upload has opened a file of that size to write to it in place. made says that it has created
// the file.
func (u *uploads) open(id any, made bool, size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.inPlace[id]
	if f == nil {
		f = &finalFile{counted: size}
		if made {
			f.counted = -1
		}
		u.inPlace[id] = f
	}
	f.opens++
	f.made = f.made || made
}

// recount sets the size that is counted for a file that is open, and returns the one that was. So the changes of
// several uploads that have it open add up to that of the file.
func (u *uploads) recount(id any, size int64) (counted int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.inPlace[id]
	counted, f.counted = f.counted, size
	return counted
}

// closed undoes open. It reports whether the file may be removed if it is empty: an upload has created it, none
// has completed it, and none has it open.
func (u *uploads) closed(id any, completed bool) (removable bool) {
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

// beginWrite records that an upload begins to write to a file that it has opened; endWrite undoes it. Uploads
// that append may write to the same file at once, because each of their writes goes to the end. Any others
// would mix their bytes, so the second one gets errBusy.
func (u *uploads) beginWrite(id any, appends bool) error {
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

func (u *uploads) endWrite(id any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f := u.inPlace[id]
	f.writers = max(0, f.writers-1)
}

// naming waits until no other upload gives a file that name, and returns the function that ends this. It is for storages
// without RenameNewFs: O_EXCL, by which renameNew reserves the name, is not atomic in all of them, for example in afero's
// MemMapFs.
func (u *uploads) naming(r reservation) (done func()) {
	m := &u.names[hash32(r.path)%uint32(len(u.names))]
	m.Lock()
	return m.Unlock
}

// reserve reserves a name for one upload. It reports false if the name is reserved already. A name that is announced is
// reserved for all uploads; others are only for those that call reserve.
func (u *uploads) reserve(r reservation, announced bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, taken := u.reserved[r]; taken {
		return false
	}
	u.reserved[r] = announced
	return true
}

func (u *uploads) release(r reservation) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.reserved, r)
}

// isReserved reports whether a name is reserved for all uploads.
func (u *uploads) isReserved(account *Account, p string) bool { return u.holds(account, p, true) }

// isHeld reports whether a name is reserved.
func (u *uploads) isHeld(account *Account, p string) bool { return u.holds(account, p, false) }

func (u *uploads) holds(account *Account, p string, announced bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.reserved) == 0 { // the usual case
		return false
	}
	all, held := u.reserved[reservationOf(account, p)]
	return held && (all || !announced)
}

// reservationOf returns the reservation of a path in the tree of an account. Two accounts that share an afero.Fs
// share their names. afero's wrappers are pointers; values of other types are told apart by their content.
func reservationOf(account *Account, p string) reservation {
	storage, inside := at(account.FS, p)
	return reservation{fmt.Sprintf("%p", storage), inside}
}
