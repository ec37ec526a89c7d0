package mirror

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// side is one of the two trees that a mirror compares. Names are relative to its root, with slashes; "" is
// the root itself.
type side interface {
	at(rel string) string // the name that the side itself uses
	// look returns the entry, following links. The error matches fs.ErrNotExist if there is none.
	look(ctx context.Context, rel string) (ftp.Entry, error)
	// list passes all names of a directory to add; it does not follow links. add(nil) means that the
	// listing starts over.
	list(ctx context.Context, rel string, add func(*ftp.Entry) error) (client.DirRead, error)
	readLink(rel string, e *ftp.Entry) (string, error)
	// makeDir creates a directory, and its parents if it is the root. there reports that it existed
	// already.
	makeDir(ctx context.Context, rel string) (there bool, err error)
	remove(ctx context.Context, rel string, dir bool) error
	writeSmall(ctx context.Context, rel string, content []byte) error // creates a file
	setTime(ctx context.Context, rel string, t time.Time) error
	setMode(ctx context.Context, rel string, mode fs.FileMode) error
	link(ctx context.Context, target, rel string) error
	canLink(ctx context.Context) error // why no links can be made; it changes nothing
	// exact makes the time of an entry as exact as possible.
	exact(ctx context.Context, rel string, e *ftp.Entry) error
	// span returns when an entry was last changed: not before from, and before to.
	span(e *ftp.Entry) (from, to time.Time)
	// sum returns the hash of a file. algo "" lets the side choose. The error matches
	// errors.ErrUnsupported if the side does not support algo.
	sum(ctx context.Context, rel, algo string) (algorithm, sum string, err error)
	badName(name string) error // why it can't be a name there
	// unsendable returns why a name can't be sent there, as a clause that begins with "its name", or ""
	// if it can.
	unsendable(name string) string
}

// plainSide is a tree of a file system.
type plainSide struct {
	fsys   afero.Fs
	root   string
	coarse coarseness // how it rounds times
}

func (s *plainSide) at(rel string) string { return below(s.root, rel) }

func (s *plainSide) look(_ context.Context, rel string) (ftp.Entry, error) {
	info, err := s.fsys.Stat(s.at(rel))
	if err != nil {
		return ftp.Entry{}, &client.LocalError{Err: err}
	}
	s.coarse.see(info.ModTime())
	return plainEntry(info), nil
}

// plainEntry returns a file of a file system as an Entry.
func plainEntry(info fs.FileInfo) ftp.Entry {
	e := ftp.Entry{
		Name: info.Name(), Size: info.Size(), Modified: info.ModTime().UTC(), Precise: time.Nanosecond,
		Mode: info.Mode().Perm(), HasMode: true,
	}
	switch {
	case info.IsDir():
		e.Type = ftp.DirEntry
	case info.Mode()&fs.ModeSymlink != 0:
		e.Type = ftp.LinkEntry
	case info.Mode().IsRegular():
		e.Type = ftp.FileEntry
	default:
		e.Type = ftp.OtherEntry
	}
	return e
}

func (s *plainSide) list(ctx context.Context, rel string, add func(*ftp.Entry) error) (client.DirRead, error) {
	f, err := s.fsys.Open(s.at(rel))
	if err != nil {
		return client.DirRead{}, &client.LocalError{Err: err}
	}
	defer f.Close()
	const some = 1000
	for {
		infos, err := f.Readdir(some)
		for _, info := range infos {
			e := plainEntry(info)
			s.coarse.see(info.ModTime())
			if err := add(&e); err != nil {
				return client.DirRead{}, err
			}
		}
		switch {
		case errors.Is(err, io.EOF), err == nil && len(infos) == 0:
			return client.DirRead{}, nil
		case err != nil:
			return client.DirRead{}, &client.LocalError{Err: err}
		case ctx.Err() != nil:
			return client.DirRead{}, context.Cause(ctx)
		}
	}
}

func (s *plainSide) readLink(rel string, _ *ftp.Entry) (string, error) {
	r, ok := s.fsys.(afero.LinkReader)
	if !ok {
		return "", &client.LocalError{Err: errors.ErrUnsupported}
	}
	target, err := r.ReadlinkIfPossible(s.at(rel))
	return filepath.ToSlash(target), asLocal(err)
}

func (s *plainSide) makeDir(_ context.Context, rel string) (there bool, err error) {
	if rel == "" {
		return false, asLocal(s.fsys.MkdirAll(s.at(rel), 0o777))
	}
	err = s.fsys.Mkdir(s.at(rel), 0o777)
	if l, ok := s.fsys.(afero.Lstater); ok && errors.Is(err, fs.ErrExist) { // another program created it
		if info, _, e := l.LstatIfPossible(s.at(rel)); e == nil && info.IsDir() {
			return true, nil
		}
	}
	return false, asLocal(err)
}

func (s *plainSide) remove(_ context.Context, rel string, _ bool) error {
	return asLocal(s.fsys.Remove(s.at(rel)))
}

func (s *plainSide) writeSmall(_ context.Context, rel string, content []byte) error {
	f, err := s.fsys.OpenFile(s.at(rel), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return asLocal(err)
	}
	_, err = f.Write(content)
	return asLocal(errors.Join(err, f.Close()))
}

func (s *plainSide) setTime(_ context.Context, rel string, t time.Time) error {
	return asLocal(s.fsys.Chtimes(s.at(rel), time.Now(), t))
}

func (s *plainSide) setMode(_ context.Context, rel string, mode fs.FileMode) error {
	return asLocal(s.fsys.Chmod(s.at(rel), mode))
}

func (s *plainSide) link(_ context.Context, target, rel string) error {
	l, ok := s.fsys.(afero.Linker)
	if !ok {
		return &client.LocalError{Err: client.ErrNoLinks}
	}
	return asLocal(l.SymlinkIfPossible(filepath.FromSlash(target), s.at(rel)))
}

func (s *plainSide) canLink(context.Context) error {
	if _, ok := s.fsys.(afero.Linker); !ok {
		return &client.LocalError{Err: client.ErrNoLinks}
	}
	return nil
}

func (s *plainSide) exact(context.Context, string, *ftp.Entry) error { return nil }

func (s *plainSide) span(e *ftp.Entry) (from, to time.Time) {
	return s.coarse.widen(e, e.Modified, e.Modified.Add(max(e.Precise, time.Nanosecond)))
}

func (s *plainSide) sum(ctx context.Context, rel, algo string) (algorithm, sum string, err error) {
	if algo == "" {
		algo = "SHA-256"
	}
	h := client.NewHash(algo)
	if h == nil {
		return "", "", errors.ErrUnsupported
	}
	f, err := s.fsys.Open(s.at(rel))
	if err != nil {
		return "", "", &client.LocalError{Err: err}
	}
	defer f.Close()
	const chunk = 4 << 20
	for err == nil {
		if ctx.Err() != nil {
			return "", "", context.Cause(ctx)
		}
		_, err = io.CopyN(h, f, chunk)
	}
	if !errors.Is(err, io.EOF) {
		return "", "", &client.LocalError{Err: err}
	}
	return algo, hex.EncodeToString(h.Sum(nil)), nil
}

func (s *plainSide) badName(name string) error {
	if !filepath.IsLocal(name) || name != filepath.Base(name) {
		return &client.LocalError{Err: errors.New("its name is not valid for a local file")}
	}
	return nil
}

func (s *plainSide) unsendable(string) string { return "" }

// asLocal returns err as a failure of the local side.
func asLocal(err error) error {
	if err == nil {
		return nil
	}
	return &client.LocalError{Err: err}
}
