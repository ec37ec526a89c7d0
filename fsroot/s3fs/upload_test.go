package s3fs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"miniftp/fsroot/s3fs"
	"miniftp/internal/s3peer"
)

func begin(t testing.TB, f *s3fs.Fs, name string, o s3fs.UploadOptions) s3fs.Upload {
	t.Helper()
	u, err := f.Upload(t.Context(), name, o)
	check(t, err)
	return u
}

func write(t testing.TB, u s3fs.Upload, b []byte) {
	t.Helper()
	// In pieces, as from a connection.
	for len(b) > 0 {
		n, err := u.Write(b[:min(len(b), 100_000)])
		check(t, err)
		b = b[n:]
	}
}

func commit(t testing.TB, u s3fs.Upload) {
	t.Helper()
	check(t, u.Commit(t.Context(), time.Time{}))
}

// records returns how many records of uploads there are.
func records(t testing.TB, g *s3peer.Gateway) int {
	t.Helper()
	found, err := os.ReadDir(g.Path(".miniftp/uploads"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return len(found)
}

// multiparts returns how many multipart uploads are open, as VersityGW stores them.
func multiparts(t testing.TB, g *s3peer.Gateway) int {
	t.Helper()
	keys, err := os.ReadDir(g.Path(".sgwtmp/multipart"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	n := 0
	for _, key := range keys {
		ids, err := os.ReadDir(g.Path(".sgwtmp/multipart/" + key.Name()))
		check(t, err)
		n += len(ids)
	}
	return n
}

func clean(t testing.TB, g *s3peer.Gateway) {
	t.Helper()
	if r, m := records(t, g), multiparts(t, g); r != 0 || m != 0 {
		t.Errorf("%d records and %d multipart uploads are left", r, m)
	}
}

func TestUploads(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	when := time.Unix(1_234_567_890, 0)
	for _, size := range []int{0, 1, 64 << 10, 300_000, part - 1, part, part + 1, 2 * part, 3*part + 17} {
		for _, modified := range []time.Time{{}, when} {
			if size >= 2*part && modified.IsZero() {
				continue
			}
			name := fmt.Sprintf("/%d", size)
			data := random(uint64(size), size)
			u := begin(t, f, name, s3fs.UploadOptions{Owner: "o"})
			write(t, u, data)
			if modified.IsZero() {
				absent(t, f, name)
			}
			check(t, u.Commit(t.Context(), modified))
			same(t, f, name, data)
			fi, err := f.Stat(name)
			check(t, err)
			if !modified.IsZero() && !fi.ModTime().Equal(modified) {
				t.Errorf("%s has the time %v", name, fi.ModTime())
			}
			if _, err := u.Write(data); err == nil && size > 0 {
				t.Error("Write after Commit succeeded")
			}
		}
	}
	clean(t, g)
}

func TestAbort(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	put(t, f, "/f", "old")
	for _, size := range []int{100, 2*part + 1, 3 * part} {
		u := begin(t, f, "/f", s3fs.UploadOptions{})
		write(t, u, random(1, size))
		check(t, u.Abort(t.Context()))
		clean(t, g)
	}
	same(t, f, "/f", []byte("old"))
}

func TestNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g, g2 := s3peer.Start(t, dir), s3peer.Start(t, dir)
	fsys := []*s3fs.Fs{open(t, g, "", ""), open(t, g2, "", "")}
	for _, size := range []int{10, 2*part + 1} {
		var uploads []s3fs.Upload
		for i, f := range fsys {
			u := begin(t, f, "/f", s3fs.UploadOptions{Owner: fmt.Sprint(i), New: true})
			write(t, u, random(uint64(i), size))
			uploads = append(uploads, u)
		}
		errs := make([]error, len(uploads))
		var wg sync.WaitGroup
		for i, u := range uploads {
			wg.Go(func() { errs[i] = u.Commit(t.Context(), time.Time{}) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("of two writers, the errors are %v and %v", errs[0], errs[1])
		}
		for i, err := range errs {
			if err == nil {
				same(t, fsys[0], "/f", random(uint64(i), size))
			} else {
				wantErr(t, err, fs.ErrExist)
			}
		}
		_, err := fsys[0].Upload(t.Context(), "/f", s3fs.UploadOptions{New: true})
		wantErr(t, err, fs.ErrExist)
		check(t, fsys[0].Remove("/f"))
		clean(t, g)
	}
}

// The last upload of a name replaces the others, also of the same owner.
func TestTwoUploads(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	o := s3fs.UploadOptions{Owner: "a"}
	first, second := begin(t, f, "/f", o), begin(t, f, "/f", o)
	write(t, first, random(1, 2*part+1))
	write(t, second, random(2, 2*part+1))
	commit(t, first)
	same(t, f, "/f", random(1, 2*part+1))
	commit(t, second)
	same(t, f, "/f", random(2, 2*part+1))
	clean(t, g)

	// Only the one that began last can be resumed, also if that happened over another gateway.
	f2 := open(t, s3peer.Start(t, g.Dir), "", "")
	for _, f2 := range []*s3fs.Fs{f, f2} {
		first, second = begin(t, f, "/f", o), begin(t, f2, "/f", o)
		write(t, first, random(1, 2*part+1))
		write(t, second, random(2, part+1))
		kept, err := second.Keep(t.Context())
		if check(t, err); kept != part {
			t.Errorf("Keep = %d", kept)
		}
		kept, err = first.Keep(t.Context())
		if check(t, err); kept != 0 {
			t.Errorf("Keep of the first = %d", kept)
		}
		u := begin(t, f2, "/f", s3fs.UploadOptions{Owner: "a", Offset: part})
		write(t, u, random(2, 2*part)[part:])
		commit(t, u)
		same(t, f, "/f", random(2, 2*part))
		clean(t, g)
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	for _, tt := range []struct{ size, at, more int }{
		// in memory
		{10, 5, 2},
		{10, 5, 20},
		{10, 10, 5},
		{0, 0, 5},
		// appended
		{part - 1, part - 1, 2},
		{part, part, 10},
		{part, part, 2*part + 3},
		// in the middle
		{3 * part, 10, 20},
		{3 * part, part + 7, 2 * part},
		{2*part + 5, 2*part - 10, 12},
		{20 * mib, 13 * mib, 9},
		{part + 10, part + 5, 1},
	} {
		for _, appends := range []bool{false, true} {
			if appends != (tt.at == tt.size) {
				continue
			}
			old, more := random(1, tt.size), random(2, tt.more)
			put(t, f, "/f", string(old))
			o := s3fs.UploadOptions{Owner: "a", Append: appends}
			if !appends {
				o.Offset = int64(tt.at)
			}
			u := begin(t, f, "/f", o)
			if u.Start() != int64(tt.at) {
				t.Errorf("Start = %d, want %d", u.Start(), tt.at)
			}
			write(t, u, more)
			commit(t, u)
			want := append(old[:tt.at:tt.at], more...)
			if end := tt.at + tt.more; end < tt.size {
				want = append(want, old[end:]...)
			}
			same(t, f, "/f", want)
			clean(t, g)
		}
	}
	_, err := f.Upload(t.Context(), "/f", s3fs.UploadOptions{Offset: 1 << 40})
	if !isResume(err) {
		t.Errorf("beyond the end: %v", err)
	}
	// Nothing appended changes nothing.
	before, err := f.Stat("/f")
	check(t, err)
	commit(t, begin(t, f, "/f", s3fs.UploadOptions{Append: true}))
	if after, err := f.Stat("/f"); err != nil || after.Sys() != before.Sys() {
		t.Errorf("after nothing: %v, %v", after, err)
	}
	// Append makes a file.
	u := begin(t, f, "/new", s3fs.UploadOptions{Append: true})
	write(t, u, []byte("x"))
	commit(t, u)
	same(t, f, "/new", []byte("x"))
}

func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	for _, size := range []int{10, 2 * part} {
		for _, more := range []int{5, 2*part + 1} {
			for _, change := range []func(){
				func() { put(t, f, "/f", "another") },
				func() { check(t, f.Remove("/f")) },
			} {
				put(t, f, "/f", string(random(1, size)))
				u := begin(t, f, "/f", s3fs.UploadOptions{Append: true})
				if _, err := u.Write(random(2, more)); err != nil {
					t.Fatal(err)
				}
				change()
				err := u.Commit(t.Context(), time.Time{})
				wantErr(t, err, syscall.ESTALE)
				clean(t, g)
			}
		}
	}
	// An interrupted upload belongs to the version that it was to replace.
	put(t, f, "/f", "one")
	u := begin(t, f, "/f", s3fs.UploadOptions{Owner: "a"})
	write(t, u, random(1, part+1))
	_, err := u.Keep(t.Context())
	check(t, err)
	_, _, err = f.Kept(t.Context(), "/f", "a")
	check(t, err)
	put(t, f, "/f", "two")
	_, _, err = f.Kept(t.Context(), "/f", "a")
	wantErr(t, err, fs.ErrNotExist)
	_, err = f.Upload(t.Context(), "/f", s3fs.UploadOptions{Owner: "a", Offset: part})
	wantErr(t, err, syscall.ESTALE)
	same(t, f, "/f", []byte("two"))
	check(t, f.Discard(t.Context(), "/f", "a"))
	wantErr(t, f.Discard(t.Context(), "/f", "a"), fs.ErrNotExist)
	clean(t, g)
}

// Small uploads take little memory, and large ones share the pool.
func TestMemory(t *testing.T) {
	g := s3peer.Start(t, t.TempDir())
	f, err := s3fs.Open(t.Context(), g.URL("", "&memory=16M"), keys)
	check(t, err)
	defer f.Close()
	before := heap()
	var uploads []s3fs.Upload
	for i := range 20 {
		u := begin(t, f, fmt.Sprint("/", i), s3fs.UploadOptions{})
		write(t, u, random(uint64(i), 64<<10))
		uploads = append(uploads, u)
	}
	if grown := heap() - before; grown > 5*mib {
		t.Errorf("20 uploads of 64 KiB take %d bytes", grown)
	}
	for _, u := range uploads {
		commit(t, u)
	}
	// Two parts fit. The third upload waits, until its context ends or another one has ended.
	a, b := begin(t, f, "/a", s3fs.UploadOptions{}), begin(t, f, "/b", s3fs.UploadOptions{})
	write(t, a, random(1, mib))
	write(t, b, random(1, mib))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c, err := f.Upload(ctx, "/c", s3fs.UploadOptions{})
	check(t, err)
	n, err := c.Write(random(1, mib))
	wantErr(t, err, context.DeadlineExceeded)
	if n != 256<<10 {
		t.Errorf("%d bytes were taken without a slot", n)
	}
	check(t, c.Abort(t.Context()))
	commit(t, a)
	d := begin(t, f, "/d", s3fs.UploadOptions{})
	write(t, d, random(1, 20*mib))
	commit(t, d)
	commit(t, b)
	same(t, f, "/d", random(1, 20*mib))
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f, err := s3fs.Open(t.Context(), g.URL("", ""), keys)
	check(t, err)
	put(t, f, "/f", strings.Repeat("x", mib))
	file, err := f.Open("/f")
	check(t, err)
	_, err = io.CopyN(io.Discard, file, 10)
	check(t, err)
	u := begin(t, f, "/u", s3fs.UploadOptions{})
	check(t, f.Close())
	_, err = io.Copy(io.Discard, file)
	wantErr(t, err, fs.ErrClosed)
	wantErr(t, u.Commit(t.Context(), time.Time{}), fs.ErrClosed)
	_, err = f.Stat("/f")
	wantErr(t, err, fs.ErrClosed)
}
