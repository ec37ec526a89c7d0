package server

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// listing is a listing as a stream of lines. It is an io.Reader that formats a batch of entries at each Read,
// so the first line does not wait for the last, and memory does not grow with the size of the directory. Work
// that may take long is done in slices of listSlice, after which Read returns, so that the listing can be
// stopped.
//
// The first entries of a directory are gathered in ready, in case they are few enough to be sorted. The others
// are streamed in the order of the disk:
//
//	read ─→ wanted ─→ ready ─→ (sorted) ─→ append     while gathering
//	read ─→ wanted ─────────────────────→ append      afterwards
type listing struct {
	desc      describer
	line      func(b []byte, e *ftp.Entry) []byte // appends the line of one entry, without CRLF
	flags     lsFlags
	hidden    bool          // include names that start with a dot
	pattern   string        // that names must match; "": all
	prefix    string        // what the client has written before the pattern
	first     string        // heading of the first directory: LIST -R
	dirs      []subdir      // directories that LIST -R has not yet listed
	pending   int           // length of their paths in bytes
	open      dirReader     // the open directory; nil: between two directories
	at        subdir        // its path and depth
	gathering bool          // it is read into ready, to be sorted
	dots      []ftp.Entry   // "." and "..", to come first
	ready     []ftp.Entry   // entries to be written next
	entry     ftp.Entry     // the entry last read; reused for all
	sorts     *atomic.Int64 // Server.sorts; may be nil
	charged   int64         // the share of this listing in sorts
	slow      bool          // reading entry may have taken long
	stop      func() error  // why the listing has to stop; may be nil
	seen      int           // entries read
	spent     time.Duration // processing time, without the network
	partial   bool          // a bound has cut the list of directories for -R
	err       error
	buf       []byte
	unread    []byte
}

// subdir is a directory to be listed, and its depth below the first one.
type subdir struct {
	path  string
	depth int
}

// Bounds on one listing.
const (
	maxDepth    = 32        // of LIST -R
	maxDirs     = 100_000   // directories that LIST -R remembers
	maxDirBytes = 8 << 20   // length of their paths
	maxEntries  = 1_000_000 // entries of LIST -R
	sortWindow  = 512       // a directory with fewer entries is sorted by name
	sortMost    = 20_000    // entries sorted for -t, -S and -r; any further ones come unsorted
	batchBytes  = 32 << 10
	sliceSteps  = 64 // entries between two checks of the clock
)

// errTooMuch is returned by a listing that exceeds one of the bounds.
var errTooMuch = errors.New("the listing is too long")

// Read returns lines; it implements io.Reader for dtp.Job. It may return 0 bytes without an error if the next
// entry takes long.
func (l *listing) Read(p []byte) (int, error) {
	if len(l.unread) == 0 {
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

// Close ends the listing.
func (l *listing) Close() error {
	l.charge(0)
	if l.open != nil {
		return l.open.Close()
	}
	return nil
}

// fill formats the next batch.
func (l *listing) fill(b []byte) []byte {
	began := time.Now()
	defer func() { l.spent += time.Since(began) }()
	if l.first != "" {
		b = append(append(b, l.first...), ":\r\n"...)
		l.first = ""
	}
	for n := 1; len(b) < batchBytes && l.err == nil; n++ {
		if (l.slow || n%sliceSteps == 0) && l.sliceOver(began) {
			return b
		}
		switch {
		case l.gathering:
			l.gather()
		case len(l.ready) > 0:
			b = l.append(b, &l.ready[0])
			l.ready = l.ready[1:]
		case l.open == nil:
			b = l.nextDir(b)
		default:
			more, err := l.read()
			if err != nil {
				l.endDir(err)
				continue
			}
			if l.wanted(&l.entry) {
				b = l.append(b, &l.entry)
			}
			if !more && len(b) > 0 {
				return b // the next entry needs a read from the disk: send these first
			}
		}
	}
	return b
}

// read reads the next entry. A link may take long, because its target is looked up, perhaps through many other
// links.
func (l *listing) read() (more bool, err error) {
	more, err = l.open.next(&l.entry)
	l.slow = l.entry.Type == ftp.LinkEntry
	return more, err
}

// sliceOver reports whether to return from Read: the time slice that began at began has passed, or the listing has
// to stop.
func (l *listing) sliceOver(began time.Time) bool {
	took := time.Since(began)
	if l.stop != nil && l.err == nil {
		l.err = l.stop()
	}
	if l.spent+took > maxListTime && l.err == nil {
		l.err = errTooMuch
	}
	return l.err != nil || took > listSlice
}

// find gathers the entries to be sorted, or all for a pattern. It fails if nothing matches a pattern: that has
// to be known before the data connection is used.
func (l *listing) find() error {
	began := time.Now()
	for n := 1; l.gathering && l.err == nil; n++ {
		if l.gather(); l.slow || n%sliceSteps == 0 {
			l.sliceOver(began)
		}
	}
	l.spent += time.Since(began)
	if l.err == nil && l.pattern != "" && len(l.ready) == 0 {
		l.err = fs.ErrNotExist
	}
	return l.err
}

// wanted reports whether an entry belongs in the listing.
func (l *listing) wanted(e *ftp.Entry) bool {
	if l.seen++; l.flags.recursive && l.seen > maxEntries {
		l.err = errTooMuch
		return false
	}
	if !l.hidden && strings.HasPrefix(e.Name, ".") || isPartial(e.Name) {
		return false
	}
	if l.pattern != "" {
		if ok, err := path.Match(l.pattern, e.Name); err != nil || !ok {
			return false
		}
		e.Name = l.prefix + e.Name
	}
	return true
}

// append appends the line of an entry if its name fits in a line.
func (l *listing) append(b []byte, e *ftp.Entry) []byte {
	if !listable(e.Name) {
		return b
	}
	l.queue(e)
	return append(l.line(b, e), '\r', '\n')
}

// listable reports whether a name fits in a line: it must not contain a line break.
func listable(name string) bool { return !strings.ContainsAny(name, "\r\n\x00") }

// queue remembers a subdirectory for LIST -R. It does not follow links, so there are no loops.
func (l *listing) queue(e *ftp.Entry) {
	if !l.flags.recursive || e.Type != ftp.DirEntry || l.at.depth >= maxDepth || e.Name == "." || e.Name == ".." {
		return
	}
	p := path.Join(l.at.path, e.Name)
	if len(l.dirs) >= maxDirs || l.pending+len(p) > maxDirBytes {
		l.partial = true
		return
	}
	l.pending += len(p)
	l.dirs = append(l.dirs, subdir{p, l.at.depth + 1})
}

// endDir closes a directory at its end. A read error ends the listing with that error: a listing that just
// ended would look complete.
func (l *listing) endDir(err error) {
	_ = l.open.Close()
	l.open = nil
	if !errors.Is(err, io.EOF) {
		l.err = err
	}
}

// nextDir opens the next directory of LIST -R. One that can't be opened is listed as empty.
func (l *listing) nextDir(b []byte) []byte {
	if len(l.dirs) == 0 {
		l.err = io.EOF
		if l.partial {
			l.err = errTooMuch
		}
		return b
	}
	next := l.dirs[0]
	l.dirs[0] = subdir{} // let its path be freed before the slice is
	l.dirs = l.dirs[1:]
	l.pending -= len(next.path)
	b = append(append(append(b, "\r\n"...), strings.TrimPrefix(next.path, l.desc.base)...), ":\r\n"...)
	_ = l.enter(next)
	return b
}

// enter opens a directory. It does not read it: that is done in the task, beside the session.
func (l *listing) enter(d subdir) error {
	if len(l.desc.mounts) > 0 && !l.desc.permAt(d.path).Has(PermList) { // LIST -R from another mount
		return fs.ErrPermission
	}
	r, err := l.desc.dir(d.path)
	if err != nil {
		return err
	}
	l.at, l.open, l.gathering = d, r, true
	return nil
}

// gather reads one entry into ready. When there are enough, or the directory ends, it sorts them: always if an
// order was requested, else only if they are the whole directory.
func (l *listing) gather() {
	most := sortWindow
	if l.flags.sorted() && (len(l.ready) < sortWindow || l.charge(int64(len(l.ready))+1)) {
		most = sortMost
	}
	if _, err := l.read(); err != nil {
		l.endDir(err)
	} else if l.wanted(&l.entry) {
		l.ready = append(l.ready, l.entry)
	}
	if l.open != nil && len(l.ready) < most {
		return
	}
	l.gathering = false
	if l.open == nil || l.flags.sorted() {
		slices.SortStableFunc(l.ready, l.flags.compare)
		if l.flags.reverse {
			slices.Reverse(l.ready)
		}
	}
	l.ready = append(l.dots, l.ready...)
	l.dots = nil
}

// single returns a listing of one known entry: a file.
func single(desc describer, e ftp.Entry, line func([]byte, *ftp.Entry) []byte) *listing {
	return &listing{desc: desc, line: line, flags: lsFlags{all: true}, ready: []ftp.Entry{e}}
}

// listLine returns the formatter of LIST lines. All lines of a listing use the same current time.
func listLine() func([]byte, *ftp.Entry) []byte {
	now := time.Now()
	return func(b []byte, e *ftp.Entry) []byte { return ftp.AppendList(b, e, now) }
}

// nameLine returns the formatter of NLST lines: prefix and name.
func nameLine(prefix string) func([]byte, *ftp.Entry) []byte {
	return func(b []byte, e *ftp.Entry) []byte { return append(append(b, prefix...), e.Name...) }
}

// globbed reports whether p is a pattern and not the name of an existing file.
func globbed(fsys afero.Fs, p string) bool {
	if !strings.ContainsAny(path.Base(p), "*?[") {
		return false
	}
	_, err := lstat(fsys, p)
	return err != nil
}
