package server

import (
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// listing is a listing as a stream of lines: an io.Reader that formats a batch
// of entries when it is read. Its first line does not wait for the last, and its
// memory does not grow with the directory.
type listing struct {
	look   looker
	line   func(b []byte, e *ftp.Entry) []byte // one entry, without its end
	flags  lsFlags
	first  string      // a heading for the first directory: LIST -R
	dirs   []subdir    // what -R still has to list
	open   dirReader   // nil between directories
	at     subdir      // the directory that is open
	fresh  bool        // nothing of it is read yet
	dots   []ftp.Entry // "." and "..", to come first
	ready  []ftp.Entry
	err    error
	buf    []byte
	unread []byte
}

// subdir is a directory to be listed, and how deep it lies.
type subdir struct {
	path  string
	depth int
}

// Bounds on what one listing may do.
const (
	maxDepth   = 32      // of LIST -R
	maxDirs    = 100_000 // that LIST -R remembers
	sortWindow = 512     // entries: a smaller directory comes sorted by name
	sortMost   = 100_000 // entries sorted for -t, -S and -r; beyond, they come as they are
	batchBytes = 32 << 10
)

// lsFlags are the letters of LIST that mean something here.
type lsFlags struct {
	all       bool // -a: hidden names, "." and ".." too
	recursive bool // -R
	byTime    bool // -t
	bySize    bool // -S
	reverse   bool // -r
	itself    bool // -d: the directory, not what is in it
}

func (f *lsFlags) add(letters string) {
	for _, c := range letters {
		switch c {
		case 'a', 'A':
			f.all = true
		case 'R':
			f.recursive = true
		case 't':
			f.byTime = true
		case 'S':
			f.bySize = true
		case 'r':
			f.reverse = true
		case 'd':
			f.itself = true
		}
	}
}

// sorted reports whether the order asked for needs all entries first.
func (f lsFlags) sorted() bool { return f.byTime || f.bySize || f.reverse }

// Read gives lines; it implements io.Reader for dtp.Job.
func (l *listing) Read(p []byte) (int, error) {
	for len(l.unread) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		l.buf = l.fill(l.buf[:0])
		l.unread = l.buf
	}
	n := copy(p, l.unread)
	l.unread = l.unread[n:]
	return n, nil
}

// Close ends the listing early or late.
func (l *listing) Close() error {
	if l.open != nil {
		return l.open.Close()
	}
	return nil
}

// fill formats the next batch.
func (l *listing) fill(b []byte) []byte {
	if l.first != "" {
		b = append(append(b, l.first...), ":\r\n"...)
		l.first = ""
	}
	for len(b) < batchBytes {
		if l.fresh {
			l.sort()
		}
		if len(l.ready) > 0 {
			b = l.append(b, &l.ready[0])
			l.ready = l.ready[1:]
			continue
		}
		if l.open == nil {
			if b = l.nextDir(b); l.open == nil && len(l.ready) == 0 {
				if l.err == nil {
					l.err = io.EOF
				}
				return b
			}
			continue
		}
		var e ftp.Entry
		more, err := l.open.next(&e)
		if err != nil {
			l.endDir(err)
			continue
		}
		b = l.append(b, &e)
		if !more && len(b) > 0 {
			return b // the next batch has to be read from the disk: send this one
		}
	}
	return b
}

// append adds one entry's line, if it is to be seen.
func (l *listing) append(b []byte, e *ftp.Entry) []byte {
	if isUpload(e.Name) && !l.flags.all || !listable(e.Name) {
		return b
	}
	l.queue(e)
	return append(l.line(b, e), '\r', '\n')
}

// listable: a name with a line break can't be told in a line.
func listable(name string) bool { return !strings.ContainsAny(name, "\r\n\x00") }

func (l *listing) queue(e *ftp.Entry) {
	if l.flags.recursive && e.Type == ftp.DirEntry && l.at.depth < maxDepth && len(l.dirs) < maxDirs && e.Name != "." && e.Name != ".." {
		l.dirs = append(l.dirs, subdir{path.Join(l.at.path, e.Name), l.at.depth + 1})
	}
}

// endDir closes a directory that has ended. What can't be read any more ends the
// listing with an error, as an empty end would look like a whole one.
func (l *listing) endDir(err error) {
	_ = l.open.Close()
	l.open = nil
	if !errors.Is(err, io.EOF) {
		l.err = err
	}
}

// nextDir opens the next directory of LIST -R; one that can't be opened shows empty.
func (l *listing) nextDir(b []byte) []byte {
	for l.err == nil && l.open == nil && len(l.ready) == 0 && len(l.dirs) > 0 {
		l.at = l.dirs[0]
		l.dirs = l.dirs[1:]
		b = append(append(append(b, "\r\n"...), strings.TrimPrefix(l.at.path, l.look.base)...), ":\r\n"...)
		if err := l.enter(l.at); err != nil {
			continue
		}
	}
	return b
}

// enter opens a directory. Nothing is read yet: that is for the transfer, beside
// the session.
func (l *listing) enter(d subdir) error {
	r, err := l.look.dir(d.path)
	if err != nil {
		return err
	}
	l.at, l.open = d, r
	if !l.flags.all {
		l.open = visible{l.open}
	}
	l.fresh = true
	return nil
}

// sort reads ahead: the whole directory if it is small, or if an order was asked
// for; a large one streams in the order of the disk.
func (l *listing) sort() {
	l.fresh = false
	most := sortWindow
	if l.flags.sorted() {
		most = sortMost
	}
	l.ready = nil
	for len(l.ready) < most {
		var e ftp.Entry
		if _, err := l.open.next(&e); err != nil {
			l.endDir(err)
			break
		}
		l.ready = append(l.ready, e)
	}
	if l.open == nil || l.flags.sorted() {
		slices.SortStableFunc(l.ready, l.flags.compare)
		if l.flags.reverse {
			slices.Reverse(l.ready)
		}
	}
	l.ready = append(l.dots, l.ready...)
	l.dots = nil
}

func (f lsFlags) compare(a, b ftp.Entry) int {
	switch {
	case f.byTime && !a.Modified.Equal(b.Modified):
		return b.Modified.Compare(a.Modified)
	case f.bySize && a.Size != b.Size:
		if a.Size > b.Size {
			return -1
		}
		return 1
	}
	return strings.Compare(a.Name, b.Name)
}

// visible leaves hidden names out.
type visible struct{ dirReader }

func (v visible) next(e *ftp.Entry) (bool, error) {
	for {
		more, err := v.dirReader.next(e)
		if err != nil || !strings.HasPrefix(e.Name, ".") {
			return more, err
		}
	}
}

// few is a listing of entries that are known: a file, or what a glob found.
func few(look looker, entries []ftp.Entry, line func([]byte, *ftp.Entry) []byte) *listing {
	return &listing{look: look, line: line, flags: lsFlags{all: true}, ready: entries}
}

// send starts the transfer of a listing.
func (s *session) send(verb, arg, p string, l *listing) ftp.Reply {
	j := &job{cmd: ftp.Command{Verb: verb, Arg: arg}, path: p, dir: ftp.Retrieve}
	j.finish = func(res dtp.Result) ftp.Reply {
		_ = l.Close()
		return s.verdict(j, res)
	}
	return s.transfer(j, dtp.Job{Source: l, Type: ftp.Image})
}

// listLine is a LIST line: now is taken once for a whole listing.
func listLine() func([]byte, *ftp.Entry) []byte {
	now := time.Now()
	return func(b []byte, e *ftp.Entry) []byte { return ftp.AppendList(b, e, now) }
}

func nameLine(b []byte, e *ftp.Entry) []byte { return append(b, e.Name...) }

// globbed reports whether p is a pattern and not the name of something.
func globbed(fsys afero.Fs, p string) bool {
	if !strings.ContainsAny(path.Base(p), "*?[") {
		return false
	}
	_, err := lstat(fsys, p)
	return err != nil
}
