package server

import (
	"context"
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
	"miniftp/ftp/dtp"
)

// listing is a listing as a stream of lines: an io.Reader that formats a batch
// of entries when it is read. Its first line does not wait for the last, and its
// memory does not grow with the directory. What takes long it does in slices, so
// that it can be stopped.
type listing struct {
	look    describer
	line    func(b []byte, e *ftp.Entry) []byte // one entry, without its end
	flags   lsFlags
	hidden  bool          // names that begin with a dot show
	pattern string        // that names must match; "": all do
	prefix  string        // what the client wrote before the pattern
	first   string        // a heading for the first directory: LIST -R
	dirs    []subdir      // what -R still has to list
	pending int           // bytes of their paths
	open    dirReader     // nil between directories
	at      subdir        // the directory that is open
	gathers bool          // it is read ahead, to be sorted
	dots    []ftp.Entry   // "." and "..", to come first
	ready   []ftp.Entry   // to be shown next
	entry   ftp.Entry     // the last that was read: one for all of them
	sorts   *atomic.Int64 // entries that all listings keep for an order; may be nil
	charged int64         // of these, how many this one has
	slow    bool          // reading entry may have taken long
	stop    func() error  // why the listing should stop; may be nil
	seen    int
	spent   time.Duration // in here, not on the network
	partial bool          // not all that -R asks for will be listed
	err     error
	buf     []byte
	unread  []byte
}

// subdir is a directory to be listed, and how deep it lies.
type subdir struct {
	path  string
	depth int
}

// Bounds on what one listing may do.
const (
	maxDepth    = 32        // of LIST -R
	maxDirs     = 100_000   // that LIST -R remembers
	maxDirBytes = 8 << 20   // of their paths
	maxEntries  = 1_000_000 // of LIST -R
	sortWindow  = 512       // entries: a smaller directory comes sorted by name
	sortMost    = 20_000    // entries sorted for -t, -S and -r; beyond, they come as they are
	batchBytes  = 32 << 10
	sliceSteps  = 64 // entries between two looks at the clock
)

// errTooMuch is a listing that went over one of the bounds.
var errTooMuch = errors.New("the listing is longer than one may be")

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

// Read gives lines; it implements io.Reader for dtp.Job. It may give none, and no
// error, when finding the next takes long.
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

// Close ends the listing early or late.
func (l *listing) Close() error {
	l.keeps(0)
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
		if (l.slow || n%sliceSteps == 0) && l.over(began) {
			return b
		}
		switch {
		case l.gathers:
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
				return b // the next batch has to be read from the disk: send this one
			}
		}
	}
	return b
}

// read reads the next entry. A link may have taken long: its target was looked
// for, over as many links as a path may have.
func (l *listing) read() (more bool, err error) {
	more, err = l.open.next(&l.entry)
	l.slow = l.entry.Type == ftp.LinkEntry
	return more, err
}

// over reports whether the slice of time that began then is over, or the listing is.
func (l *listing) over(began time.Time) bool {
	took := time.Since(began)
	if l.stop != nil && l.err == nil {
		l.err = l.stop()
	}
	if l.spent+took > maxListTime && l.err == nil {
		l.err = errTooMuch
	}
	return l.err != nil || took > listSlice
}

// find reads ahead, all of it or what is sorted at once, and fails if nothing
// matches a pattern: that has to be said before the data connection is used.
func (l *listing) find() error {
	began := time.Now()
	for n := 1; l.gathers && l.err == nil; n++ {
		if l.gather(); l.slow || n%sliceSteps == 0 {
			l.over(began)
		}
	}
	l.spent += time.Since(began)
	if l.err == nil && l.pattern != "" && len(l.ready) == 0 {
		l.err = fs.ErrNotExist
	}
	return l.err
}

// wanted reports whether an entry of the directory is to be seen.
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

// append adds one entry's line, if it can be told in one.
func (l *listing) append(b []byte, e *ftp.Entry) []byte {
	if !listable(e.Name) {
		return b
	}
	l.queue(e)
	return append(l.line(b, e), '\r', '\n')
}

// listable: a name with a line break can't be told in a line.
func listable(name string) bool { return !strings.ContainsAny(name, "\r\n\x00") }

// queue remembers a directory for LIST -R. Links are none, so there are no loops.
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
	if len(l.dirs) == 0 {
		l.err = io.EOF
		if l.partial {
			l.err = errTooMuch
		}
		return b
	}
	next := l.dirs[0]
	l.dirs[0] = subdir{} // its path is garbage before the others are
	l.dirs = l.dirs[1:]
	l.pending -= len(next.path)
	b = append(append(append(b, "\r\n"...), strings.TrimPrefix(next.path, l.look.base)...), ":\r\n"...)
	_ = l.enter(next)
	return b
}

// enter opens a directory. Nothing is read yet: that is for the transfer, beside
// the session.
func (l *listing) enter(d subdir) error {
	r, err := l.look.dir(d.path)
	if err != nil {
		return err
	}
	l.at, l.open, l.gathers = d, r, true
	return nil
}

// gather reads one entry ahead, and sorts when there are enough: the whole
// directory if it is small, or if an order was asked for; a large one streams in the
// order of the disk.
func (l *listing) gather() {
	most := sortWindow
	if l.flags.sorted() && (len(l.ready) < sortWindow || l.keeps(int64(len(l.ready))+1)) {
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
	l.gathers = false
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

// few is a listing of what is known already: a file.
func few(look describer, e ftp.Entry, line func([]byte, *ftp.Entry) []byte) *listing {
	return &listing{look: look, line: line, flags: lsFlags{all: true}, ready: []ftp.Entry{e}}
}

// send starts the transfer of a listing.
func (s *session) send(verb, arg, p string, l *listing) ftp.Reply {
	j := &task{cmd: ftp.Command{Verb: verb, Arg: arg}, path: p, dir: ftp.Retrieve}
	l.stop = func() error { return context.Cause(j.ctx) }
	l.sorts = &s.srv.sorts
	j.finish = func(res dtp.Result) ftp.Reply {
		_ = l.Close()
		return s.listed(j, res)
	}
	return s.transfer(j, dtp.Job{Source: l, Type: ftp.Image})
}

// sendFound looks for what matches a pattern, beside the session, and sends that.
func (s *session) sendFound(verb, arg, p string, l *listing) ftp.Reply {
	j := &task{cmd: ftp.Command{Verb: verb, Arg: arg}, path: p, dir: ftp.Retrieve}
	l.sorts = &s.srv.sorts
	j.work = func(ctx context.Context, _ *task) dtp.Result { return found(ctx, l) }
	j.finish = func(res dtp.Result) ftp.Reply {
		if res.Err == nil && s.dead == nil {
			return s.send(verb, arg, p, l)
		}
		_ = l.Close()
		return s.listed(j, res)
	}
	return s.start(j)
}

// found is what comes of looking for a pattern.
func found(ctx context.Context, l *listing) dtp.Result {
	l.stop = func() error { return context.Cause(ctx) }
	if err := l.find(); err != nil {
		return dtp.Result{Err: &dtp.LocalError{Err: err}}
	}
	return dtp.Result{}
}

// listed is the verdict on a listing.
func (s *session) listed(j *task, res dtp.Result) ftp.Reply {
	if errors.Is(res.Err, errTooMuch) {
		s.refused("the listing was stopped: it is longer than one may be", ftp.ReasonOther)
		return ftp.NewReply(451, "That is more than can be listed at once: what came is not all.")
	}
	return s.verdict(j, res)
}

// listLine is a LIST line: now is taken once for a whole listing.
func listLine() func([]byte, *ftp.Entry) []byte {
	now := time.Now()
	return func(b []byte, e *ftp.Entry) []byte { return ftp.AppendList(b, e, now) }
}

// nameLine returns what makes an NLST line: prefix and a name.
func nameLine(prefix string) func([]byte, *ftp.Entry) []byte {
	return func(b []byte, e *ftp.Entry) []byte { return append(append(b, prefix...), e.Name...) }
}

// globbed reports whether p is a pattern and not the name of something.
func globbed(fsys afero.Fs, p string) bool {
	if !strings.ContainsAny(path.Base(p), "*?[") {
		return false
	}
	_, err := lstat(fsys, p)
	return err != nil
}
