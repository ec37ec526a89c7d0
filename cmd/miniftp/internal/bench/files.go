package bench

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// The kinds of test files, which are also their names.
const (
	smallFile = "small"
	emptyFile = "empty"
	oneFile   = "one"
	largeFile = "large"
	textFile  = "text"

	entriesDir = "entries"
)

// textLine is the line that text files repeat.
const textLine = "12345678901234567890123456789012345678901234567890123456789\n"

// testFile is a file that can be downloaded.
type testFile struct {
	name string
	size int64
}

// testFiles holds the state of a run's files on the server.
type testFiles struct {
	dir     string              // the name of the run's directory
	made    bool                // the directory may exist and must be removed
	at      string              // the directory in which sessions work
	refused string              // why uploads are refused, "" if they are not
	names   []string            // files that may have been uploaded, completely or not
	ready   map[string]testFile // files for downloads by kind
	entries int                 // files made in the directory for listings, 0 if that was not made
	listed  bool                // all of them have been made
	counted int                 // entries found in the URL's directory if uploads are refused
}

// add records that a file of that name may now exist.
func (s *testFiles) add(name string) {
	if !slices.Contains(s.names, name) {
		s.names = append(s.names, name)
	}
}

// randomName returns a random part of a name.
func randomName() string { return strings.ToLower(rand.Text()[:8]) }

// makeDir makes the directory of the run and uploads a file to it. If that is refused, the run reads existing
// files.
func (b *benchmark) makeDir(u *session) error {
	s := b.files
	s.ready = map[string]testFile{}
	if err := u.enterDir(b.r.Path); err != nil {
		return err
	}
	s.at = b.r.Path
	err := u.do("MKD", s.dir)
	if !isRefusal(err) {
		s.made = true // even after an error: the connection may have broken before the reply
		s.at = target.Join(b.r.Path, s.dir)
		if err == nil {
			err = u.do("CWD", s.dir)
		}
		if err == nil {
			err = b.upload(u, smallFile)
		}
	}
	if !isRefusal(err) {
		return err
	}
	s.refused = fmt.Sprintf("uploads are refused: %v", err)
	if s.made {
		_ = u.do("CDUP", "")
		if u.do("RMD", s.dir) == nil {
			s.made = false
		}
	}
	s.at = b.r.Path
	return b.survey(u)
}

// isRefusal reports whether err is a negative reply, other than a 421, after which the session can be used.
func isRefusal(err error) bool {
	var reply *ftp.Error
	return errors.As(err, &reply) && reply.Code != 421
}

// fileSize returns the size of uploads of a kind.
func (b *benchmark) fileSize(kind string) int64 {
	const text = int64(len(textLine))
	switch kind {
	case smallFile:
		return 4 << 10
	case oneFile:
		return 1 << 20
	case largeFile:
		return b.size
	case textFile:
		return max(b.size/4/text, 1) * text
	}
	return 0
}

func (b *benchmark) upload(u *session, kind string) error {
	content := chunk()
	if kind == textFile {
		content = bytes.Repeat([]byte(textLine), len(content)/len(textLine))
	}
	size := b.fileSize(kind)
	b.files.add(kind)
	err := u.store(kind, size, content)
	if err == nil {
		b.files.ready[kind] = testFile{kind, size}
	}
	return err
}

// need returns a file of a kind for downloads. If there is none yet, it uploads one.
func (b *benchmark) need(kind string) (testFile, error) {
	if file, ok := b.files.ready[kind]; ok {
		return file, nil
	}
	if b.files.refused != "" {
		return testFile{}, leftOut{"there is no suitable file, and " + b.files.refused}
	}
	b.status.say("uploading %s", kind)
	err := b.prepared("the upload of "+kind, func(u *session) error { return b.upload(u, kind) })
	return b.files.ready[kind], err
}

// prepared runs do with a new session in the directory of the run.
func (b *benchmark) prepared(what string, do func(u *session) error) error {
	ctx, moved, done := b.preparing(what)
	defer done()
	u, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer u.cut()
	u.moved = moved
	if err = u.enterDir(b.files.at); err == nil {
		err = do(u)
	}
	return verb.FirstError(err, u.quit())
}

// needEntries returns the directory for listings and the number of its files. It makes them if necessary.
func (b *benchmark) needEntries(verb string) (dir string, entries int, err error) {
	s := b.files
	if s.refused != "" {
		if s.counted == 0 {
			return "", 0, leftOut{"there are no files for " + verb + ", and " + s.refused}
		}
		return "", s.counted, nil
	}
	if s.listed {
		return entriesDir, s.entries, nil
	}
	b.status.say("uploading %d files", b.entries)
	err = b.prepared("uploading the files", func(u *session) error {
		s.entries = 1
		err := u.do("MKD", entriesDir)
		if err == nil {
			s.entries, err = b.eachEntry(u, b.entries, func(u *session, name string) error { return u.store(entriesDir+"/"+name, 0, nil) })
		}
		return err
	})
	s.listed = err == nil
	return entriesDir, s.entries, err
}

// eachEntry runs do for n files of the directory for listings, and returns for how many it was begun. If there
// are many files, it uses more sessions, unless the server refuses them.
func (b *benchmark) eachEntry(u *session, n int, do func(u *session, name string) error) (begun int, err error) {
	const help, worth = 3, 2000
	var next atomic.Int64
	work := func(u *session) error {
		for i := next.Add(1); i <= int64(n); i = next.Add(1) {
			if err := do(u, fmt.Sprintf("file-%07d.dat", i)); err != nil {
				return err
			}
		}
		return nil
	}
	var wg sync.WaitGroup
	errs := make([]error, help)
	for i := range errs {
		if n < worth {
			break
		}
		wg.Go(func() {
			other, err := b.enter(u.ctx)
			if err != nil {
				return
			}
			defer other.cut()
			other.moved = u.moved
			if other.enterDir(b.files.at) == nil {
				errs[i] = verb.FirstError(work(other), other.quit())
			}
		})
	}
	err = work(u)
	wg.Wait()
	for _, other := range errs {
		err = verb.FirstError(err, other)
	}
	return min(int(next.Load()), n), err
}

// survey finds files for downloads in the URL's directory, for when uploads are refused.
func (b *benchmark) survey(u *session) error {
	err := u.entries("", func(e ftp.Entry) {
		b.files.counted++
		if e.Type == ftp.FileEntry && e.Size >= 0 {
			b.files.consider(testFile{e.Name, e.Size})
		}
	})
	if isRefusal(err) {
		return nil
	}
	return err
}

// consider keeps f if it suits a kind better than the files before. The rows need an empty file, the smallest
// and the largest file that are not empty, and the largest of at most 1 MiB.
func (s *testFiles) consider(f testFile) {
	if f.size == 0 {
		s.ready[emptyFile] = f
		return
	}
	if old, ok := s.ready[smallFile]; !ok || f.size < old.size {
		s.ready[smallFile] = f
	}
	if old, ok := s.ready[largeFile]; !ok || f.size > old.size {
		s.ready[largeFile], s.ready[textFile] = f, f
	}
	if old, ok := s.ready[oneFile]; !ok || f.size > old.size && f.size <= 1<<20 || old.size > 1<<20 && f.size < old.size {
		s.ready[oneFile] = f
	}
}

// entries calls see for each entry of a directory. It uses MLSD or, if that is refused, LIST.
func (u *session) entries(dir string, see func(e ftp.Entry)) error {
	err := u.lineByLine("MLSD", dir, func(line string) {
		if e, err := ftp.ParseMLSx(line); err == nil && (e.Type == ftp.FileEntry || e.Type == ftp.DirEntry || e.Type == ftp.LinkEntry) {
			see(e)
		}
	})
	if isRefusal(err) {
		err = u.list(dir, see)
	}
	return err
}

// list calls see for each entry in a listing by LIST. Lines that can't be parsed are skipped.
func (u *session) list(arg string, see func(e ftp.Entry)) (err error) {
	lines := func(yield func(string) bool) {
		more := true
		err = u.lineByLine("LIST", arg, func(line string) { more = more && yield(line) })
	}
	for e, unreadable := range new(ftp.ListParser).Entries(lines) {
		if unreadable == nil {
			see(e)
		}
	}
	return err
}

// lineByLine calls see for each line of a listing. A line that is too long is an error.
func (u *session) lineByLine(verb, arg string, see func(line string)) error {
	if err := u.negotiate(); err != nil {
		return err
	}
	conn, err := u.start(verb, arg)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		see(strings.TrimSuffix(lines.Text(), "\r"))
		if u.moved != nil {
			u.moved()
		}
	}
	u.drop()
	if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return u.brokenBy(err)
	}
	return u.finish(verb)
}
