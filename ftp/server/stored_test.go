package server_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// bucket is a storage that makes files of uploads itself, as an object store does: interrupted uploads are kept in
// parts of partSize bytes.
type bucket struct {
	afero.Fs
	mu      sync.Mutex
	kept    map[string]*keptUpload // by owner and name
	swept   time.Time
	wrote   atomic.Int64  // bytes written
	open    atomic.Int64  // uploads that have not ended
	blocked chan struct{} // if not nil: Write waits for it, or for its context
	commits chan struct{} // if not nil: Commit sends to it when it begins, and then waits for it
	mtime   time.Time     // of the last Commit
	noTime  bool          // Commit does not set the time
	move    func(ctx context.Context, progress func(int)) error
}

type keptUpload struct {
	content []byte
	at      time.Time
}

const partSize = 4

func newBucket() *bucket { return &bucket{Fs: fsroot.NewMem(), kept: map[string]*keptUpload{}} }

type bucketUpload struct {
	b     *bucket
	ctx   context.Context
	name  string
	o     server.UploadOptions
	start int64
	data  []byte
	tail  []byte // of the old file
}

type resumable struct{ at int64 }

func (e resumable) Error() string   { return fmt.Sprint("can be resumed at ", e.at) }
func (e resumable) ResumeAt() int64 { return e.at }

func (b *bucket) Upload(ctx context.Context, name string, o server.UploadOptions) (server.Upload, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := &bucketUpload{b: b, ctx: ctx, name: name, o: o}
	old, oldErr := afero.ReadFile(b.Fs, name)
	kept := b.kept[o.Owner+name]
	switch {
	case o.Append && oldErr == nil:
		u.data, u.start = old, int64(len(old))
	case o.Append && kept != nil:
		u.data, u.start = kept.content, int64(len(kept.content))
	case o.Offset > 0 && kept != nil:
		if o.Offset%partSize != 0 || o.Offset > int64(len(kept.content)) {
			return nil, resumable{int64(len(kept.content))}
		}
		u.data, u.start = kept.content[:o.Offset], o.Offset
	case o.Offset > 0:
		u.data, u.start, u.tail = old[:o.Offset:o.Offset], o.Offset, old[o.Offset:]
	}
	b.open.Add(1)
	return u, nil
}

func (u *bucketUpload) Start() int64 { return u.start }

func (u *bucketUpload) Write(p []byte) (int, error) {
	if u.b.blocked != nil {
		select {
		case <-u.b.blocked:
		case <-u.ctx.Done():
			return 0, u.ctx.Err()
		}
	}
	u.data = append(u.data, p...)
	u.b.wrote.Add(int64(len(p)))
	return len(p), nil
}

func (u *bucketUpload) Commit(ctx context.Context, modified time.Time) error {
	defer u.b.open.Add(-1)
	if u.b.commits != nil {
		u.b.commits <- struct{}{}
		select {
		case u.b.commits <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	u.b.mu.Lock()
	defer u.b.mu.Unlock()
	if u.o.New && exists(u.b.Fs, u.name) {
		return &fs.PathError{Op: "commit", Path: u.name, Err: fs.ErrExist}
	}
	if n := len(u.data) - int(u.start); n < len(u.tail) {
		u.data = append(u.data, u.tail[n:]...)
	}
	delete(u.b.kept, u.o.Owner+u.name)
	u.b.mtime = modified
	if err := afero.WriteFile(u.b.Fs, u.name, u.data, 0o644); err != nil || modified.IsZero() || u.b.noTime {
		return err
	}
	return u.b.Chtimes(u.name, modified, modified)
}

func (u *bucketUpload) Keep(context.Context) (int64, error) {
	defer u.b.open.Add(-1)
	u.b.mu.Lock()
	defer u.b.mu.Unlock()
	kept := u.data[:len(u.data)/partSize*partSize]
	if len(kept) > 0 {
		u.b.kept[u.o.Owner+u.name] = &keptUpload{kept, time.Now()}
	}
	return int64(len(kept)), nil
}

func (u *bucketUpload) Abort(context.Context) error {
	u.b.open.Add(-1)
	return nil
}

func (b *bucket) Kept(_ context.Context, name, owner string) (int64, time.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := b.kept[owner+name]; k != nil {
		return int64(len(k.content)), k.at, nil
	}
	return 0, time.Time{}, fs.ErrNotExist
}

func (b *bucket) Discard(_ context.Context, name, owner string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept[owner+name] == nil {
		return fs.ErrNotExist
	}
	delete(b.kept, owner+name)
	return nil
}

func (b *bucket) SweepUploads(_ context.Context, before time.Time) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.swept = before
	return 1, nil
}

func (b *bucket) ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error] {
	return func(yield func(fs.FileInfo, error) bool) {
		all, err := afero.ReadDir(b.Fs, name)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, fi := range all {
			if !yield(fi, nil) {
				return
			}
		}
	}
}

func (b *bucket) MoveDir(ctx context.Context, oldname, newname string, progress func(int)) error {
	if b.move != nil {
		if err := b.move(ctx, progress); err != nil {
			return err
		}
	}
	return b.Fs.Rename(oldname, newname)
}

// cutStored sends a part of a file and then aborts, as a client that is interrupted.
func cutStored(t *testing.T, b *bucket, c *ctl, line, content string) ftp.Reply {
	t.Helper()
	b.wrote.Store(0)
	d := c.starts(line)
	_, err := d.Write([]byte(content))
	check(t, err)
	awaitTrue(t, "all to arrive", func() bool { return b.wrote.Load() == int64(len(content)) })
	c.send("ABOR")
	r := c.want(426)
	c.want(226)
	check(t, d.Close())
	return r
}

// An upload to a storage that makes files itself is visible when it is whole, not before; what was interrupted is
// resumed where the storage can.
func TestStoredUpload(t *testing.T) {
	b := newBucket()
	c := serve(t, b).login(t, "rw")
	c.cmd("TYPE I", 200)
	d := c.starts("STOR f")
	_, err := d.Write([]byte("whole"))
	check(t, err)
	if exists(b, "/f") {
		t.Error("the file is visible before its end")
	}
	check(t, d.Close())
	c.want(226)
	if got := read(t, b, "/f"); got != "whole" {
		t.Errorf("stored %q", got)
	}
	c.put("APPE f", []byte(" and more"))
	c.cmd("REST 6", 350)
	c.put("STOR f", []byte("AND"))
	if got := read(t, b, "/f"); got != "whole AND more" {
		t.Errorf("after APPE and REST: %q", got)
	}
	c.cmd("REST 15", 350)
	c.cmd("EPSV", 229)
	c.cmd("STOR f", 554)

	if r := cutStored(t, b, c, "STOR g", "0123456789"); !strings.Contains(r.Text(), "The first 8 are kept") {
		t.Errorf("the reply to a cut upload: %v", r)
	}
	if exists(b, "/g") {
		t.Error("a cut upload is visible")
	}
	c.cmd("SIZE g", 213)
	c.cmd("EPSV", 229)
	for _, at := range []string{"9", "6"} { // past the end; in the middle of a part
		c.cmd("REST "+at, 350)
		if r := c.cmd("STOR g", 554); at == "6" && !strings.Contains(r.Text(), "REST 8") {
			t.Errorf("REST %s: %v", at, r)
		}
	}
	c.cmd("REST 8", 350)
	c.put("STOR g", []byte("89ab"))
	if got := read(t, b, "/g"); got != "0123456789ab" {
		t.Errorf("resumed: %q", got)
	}

	cutStored(t, b, c, "STOR h", "0123456789")
	c.put("APPE h", []byte("89"))
	if got := read(t, b, "/h"); got != "0123456789" {
		t.Errorf("resumed by APPE: %q", got)
	}

	cutStored(t, b, c, "STOR i", "0123456789")
	c.cmd("DELE i", 250)
	c.cmd("SIZE i", 550)

	// A client that resumes with APPE at the size of the old file must not mix the two.
	cutStored(t, b, c, "STOR f", "0123456789")
	c.cmd("EPSV", 229)
	c.cmd("APPE f", 450)
}

// A name that another node has taken meanwhile is not replaced by STOU, nor by an account that may not replace
// files.
func TestStoredUploadIsNew(t *testing.T) {
	b := newBucket()
	s := serve(t, b)
	for _, tt := range []struct{ user, line, name string }{{"rw", "STOU u", "/u"}, {"drop", "STOR v", "/v"}, {"rw", "APPE w", "/w"}} {
		c := s.login(t, tt.user)
		c.cmd("TYPE I", 200)
		d := c.starts(tt.line)
		write(t, b, tt.name, "theirs")
		check(t, d.Close())
		c.want(550, 450)
		if got := read(t, b, tt.name); got != "theirs" {
			t.Errorf("%s: %q", tt.line, got)
		}
	}
	c := s.login(t, "rw")
	c.cmd("EPSV", 229)
	c.cmd("STOR nowhere/f", 550)
	c.cmd("STOR /", 550)
	c = s.login(t, "drop")
	c.cmd("EPSV", 229)
	c.cmd("STOR u", 550)
}

// An upload without a data connection gets one reply.
func TestStoredUploadNoOffer(t *testing.T) {
	b := newBucket()
	c := serve(t, b).login(t, "rw")
	for range 3 {
		c.cmd("STOR f", 425)
		c.cmd("NOOP", 200)
	}
	if n := b.open.Load(); n != 0 {
		t.Errorf("%d uploads were not ended", n)
	}
}

// While the storage makes the client wait, the session answers; ABOR and the end of the client end the wait.
func TestStoredUploadBlocked(t *testing.T) {
	b := newBucket()
	b.blocked = make(chan struct{})
	s := serve(t, b)
	c := s.login(t, "rw")
	c.cmd("TYPE I", 200)
	d := c.starts("STOR f")
	_, err := d.Write([]byte("x"))
	check(t, err)
	c.cmd("NOOP", 200)
	c.send("ABOR")
	c.want(426)
	c.want(226)
	c.cmd("NOOP", 200)

	d = c.starts("STOR f")
	_, err = d.Write([]byte("x"))
	check(t, err)
	check(t, c.Close())
}

// While the storage confirms a file, the session answers, and neither ABOR nor the end of the client stops it.
func TestStoredUploadCommits(t *testing.T) {
	b := newBucket()
	b.commits = make(chan struct{})
	s := serve(t, b)
	c := s.login(t, "rw")
	c.cmd("TYPE I", 200)
	d := c.starts("STOR f")
	_, err := d.Write([]byte("content"))
	check(t, err)
	check(t, d.Close())
	<-b.commits
	c.cmd("NOOP", 200)
	c.send("ABOR")
	<-b.commits
	c.want(226)
	c.want(226)
	if got := read(t, b, "/f"); got != "content" {
		t.Errorf("stored %q", got)
	}

	d = c.starts("STOR g")
	_, err = d.Write([]byte("content"))
	check(t, err)
	check(t, d.Close())
	<-b.commits
	check(t, c.Close())
	<-b.commits
	awaitTrue(t, "the upload to be completed without its client", func() bool { return exists(b, "/g") })
}

// awaitTrue waits until is returns true.
func awaitTrue(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// An MFMT that the client has sent already costs no second version of the file.
func TestStoredTime(t *testing.T) {
	b := newBucket()
	c := serve(t, b).login(t, "rw")
	c.cmd("TYPE I", 200)
	d := c.starts("STOR f")
	c.send("MFMT 20200102030405 f")
	c.send("NOOP")
	time.Sleep(50 * time.Millisecond) // both are read, and held
	check(t, d.Close())
	c.want(226)
	c.want(213)
	c.want(200)
	if want := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC); !b.mtime.Equal(want) {
		t.Errorf("committed with the time %v", b.mtime)
	}
	// If the storage could not do that, the command does it.
	b.noTime = true
	d = c.starts("STOR g")
	c.send("MFMT 20200102030405 g")
	c.send("NOOP")
	time.Sleep(50 * time.Millisecond)
	check(t, d.Close())
	c.want(226)
	c.want(213)
	c.want(200)
}

// The move of a directory is a task: its reply has lines that show how far it is, and ABOR stops it.
func TestMoveDir(t *testing.T) {
	b := newBucket()
	check(t, b.Mkdir("/d", 0o755))
	write(t, b, "/d/f", "x")
	seen := &story{}
	c := serve(t, b, func(o *server.Options) { o.Observer = seen }).login(t, "rw")
	c.cmd("RNFR d", 350)
	c.cmd("RNTO e", 250)
	if !exists(b, "/e/f") || exists(b, "/d") {
		t.Error("the directory was not moved")
	}
	if !seen.has("Changed") {
		t.Errorf("the observer saw no change: %v", seen.lines)
	}
	began := make(chan struct{})
	b.move = func(ctx context.Context, _ func(int)) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	}
	c.cmd("RNFR e", 350)
	c.send("RNTO f")
	<-began
	c.send("ABOR")
	c.want(451)
	c.want(226)
	b.move = func(context.Context, func(int)) error { return syscall.EIO }
	c.cmd("RNFR e", 350)
	c.cmd("RNTO f", 451)
	c.cmd("NOOP", 200)
}

// A move that takes long sends lines of its reply. If it fails after that, the reply has no last line, because that
// could only say 250.
func TestMoveDirProgress(t *testing.T) {
	old := server.SetProgressEvery(time.Millisecond)
	t.Cleanup(func() { server.SetProgressEvery(old) })
	b := newBucket()
	check(t, b.Mkdir("/d", 0o755))
	write(t, b, "/d/f", "x")
	fail := false
	b.move = func(_ context.Context, progress func(int)) error {
		progress(7)
		time.Sleep(50 * time.Millisecond)
		if fail {
			return syscall.EIO
		}
		return nil
	}
	c := serve(t, b).login(t, "rw")
	c.cmd("RNFR d", 350)
	r := c.cmd("RNTO e", 250)
	if len(r.Lines) < 2 || r.Lines[0] != "Moving /d to /e: 7 files so far" || r.Lines[len(r.Lines)-1] != "/d is now /e." {
		t.Errorf("the reply is %q", r.Lines)
	}
	fail = true
	c.cmd("RNFR e", 350)
	c.send("RNTO f")
	var all []string
	for {
		line, err := c.lr.ReadLine()
		if err != nil {
			break
		}
		all = append(all, string(line))
	}
	if len(all) < 2 || !strings.HasPrefix(all[len(all)-1], "250-FAILED: /f: the file could not be read or written.") {
		t.Errorf("the broken reply is %q", all)
	}
}

// Directories are listed as the storage streams them.
func TestStoredListing(t *testing.T) {
	b := newBucket()
	check(t, b.Mkdir("/d", 0o755))
	for i := range 700 {
		write(t, b, fmt.Sprintf("/d/f%d", i), "x")
	}
	c := serve(t, b).login(t, "rw")
	for line, want := range map[string]int{"MLSD d": 702, "LIST d": 700, "NLST d": 700, "NLST d/f69*": 11} {
		if got := len(c.lines(line)); got != want {
			t.Errorf("%s: %d lines, want %d", line, got, want)
		}
	}
}

// A storage that keeps uploads itself sweeps itself.
func TestStoredSweep(t *testing.T) {
	b := newBucket()
	s := serve(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.KeepSwept(ctx, slices.Values([]afero.Fs{b})) }()
	awaitTrue(t, "the sweep", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return !b.swept.IsZero()
	})
	cancel()
	<-done
	if age := time.Since(b.swept); age < 29*24*time.Hour || age > 31*24*time.Hour {
		t.Errorf("swept what is older than %v", age)
	}
}

type publicError struct{}

func (publicError) Error() string  { return "secret://host/path" }
func (publicError) Public() string { return "the storage is busy: try again in a moment" }

// An error of the storage that has words for clients is shown with those, and with no others.
func TestPublicError(t *testing.T) {
	c := serve(t, busyFiles{fsroot.NewMem()}).login(t, "rw")
	if r := c.cmd("SIZE f", 451); r.Text() != "/f: the storage is busy: try again in a moment." {
		t.Errorf("%v", r)
	}
}

type busyFiles struct{ afero.Fs }

func (busyFiles) Stat(name string) (os.FileInfo, error) {
	if path.Base(name) != "f" {
		return nil, errors.ErrUnsupported
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: publicError{}}
}

// A storage without identities: an account that may not replace files can't do it by a rename either.
func TestRenameMayNotReplace(t *testing.T) {
	files := anonymousFiles{fsroot.NewMem()}
	write(t, files, "/a", "a")
	write(t, files, "/b", "b")
	noReplace := server.Static{"u": {Password: "u", Account: server.Account{FS: files, Perm: server.ReadWrite &^ server.PermOverwrite}}}
	c := serve(t, files, func(o *server.Options) { o.Auth = noReplace }).connect(t)
	c.cmd("USER u", 331)
	c.cmd("PASS u", 230)
	c.cmd("RNFR a", 350)
	c.cmd("RNTO b", 550)
	if got := read(t, files, "/b"); got != "b" {
		t.Errorf("b contains %q", got)
	}
}

// anonymousFiles has files without an identity, as a remote storage has.
type anonymousFiles struct{ afero.Fs }

type anonymousInfo struct{ fs.FileInfo }

func (anonymousInfo) Sys() any { return nil }

func (f anonymousFiles) Stat(name string) (os.FileInfo, error) {
	fi, err := f.Fs.Stat(name)
	if err != nil {
		return nil, err
	}
	return anonymousInfo{fi}, nil
}
