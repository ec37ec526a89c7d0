package s3fs_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"miniftp/fsroot/s3fs"
	"miniftp/ftp/server"
	"miniftp/internal/s3peer"
)

// hold begins an upload that is held back, writes data and holds it.
func hold(t *testing.T, f *s3fs.Fs, name string, o s3fs.UploadOptions, data []byte) server.HeldUpload {
	t.Helper()
	o.Hold = true
	u, ok := begin(t, f, name, o).(server.HeldUpload)
	if !ok {
		t.Fatal("an upload with Hold is no HeldUpload")
	}
	write(t, u, data)
	check(t, u.Hold(t.Context()))
	return u
}

// wantHeld checks the content that a Gate would read.
func wantHeld(t *testing.T, u server.HeldUpload, want []byte) {
	t.Helper()
	content, size, err := u.Content(t.Context())
	check(t, err)
	got, err := io.ReadAll(io.NewSectionReader(content, 0, size))
	if check(t, err); !bytes.Equal(got, want) {
		t.Fatalf("the content has %d bytes, want %d; equal up to %d", len(got), len(want), common(got, want))
	}
}

// held returns how many objects are held back.
func held(t *testing.T, g *s3peer.Gateway) int {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(g.Dir, s3peer.Bucket, ".miniftp", "held", "*"))
	check(t, err)
	return len(all)
}

func missing(t *testing.T, f *s3fs.Fs, name string) {
	t.Helper()
	if _, err := f.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is visible: %v", name, err)
	}
}

// What is held back can be read and is not visible before Commit, of any size, with the time that the client sets.
func TestHold(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "&times=exact")
	for i, n := range []int{0, 1, 1000, part, part + 1, 3*part + 77} {
		data := random(uint64(i), n)
		u := hold(t, f, "/f", s3fs.UploadOptions{Owner: "a"}, data)
		wantHeld(t, u, data)
		missing(t, f, "/f")
		list, err := f.Open("/")
		check(t, err)
		if names, _ := list.Readdirnames(-1); len(names) != 0 {
			t.Errorf("%q is listed", names)
		}
		check(t, list.Close())
		check(t, u.Commit(t.Context(), time.Time{}))
		same(t, f, "/f", data)
		if n := held(t, g); n != 0 {
			t.Errorf("%d objects are held after Commit", n)
		}
		clean(t, g)
		// One that replaces the file.
		data = random(uint64(100+i), n+1)
		u = begin(t, f, "/f", s3fs.UploadOptions{Owner: "a", Hold: true}).(server.HeldUpload)
		write(t, u, data)
		at := time.Unix(1e9, 5e8)
		check(t, u.Hold(t.Context()))
		check(t, u.Commit(t.Context(), at))
		same(t, f, "/f", data)
		if fi, err := f.Stat("/f"); err != nil || !fi.ModTime().Equal(at) {
			t.Errorf("the time is %v, %v", fi.ModTime(), err)
		}
		check(t, f.Remove("/f"))
	}
}

// What is refused is gone, and the file that it was to replace stays.
func TestHoldAbort(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	put(t, f, "/f", "old")
	u := hold(t, f, "/f", s3fs.UploadOptions{Owner: "a"}, random(1, part+1))
	check(t, u.Abort(t.Context()))
	if got := get(t, f, "/f"); got != "old" || held(t, g) != 0 {
		t.Errorf("/f is %q, and %d objects are held", got, held(t, g))
	}
	clean(t, g)
	for _, o := range []s3fs.UploadOptions{{Offset: 2}, {Append: true}} {
		o.Hold, o.Owner = true, "a"
		_, err := f.Upload(t.Context(), "/f", o)
		wantErr(t, err, errors.ErrUnsupported)
	}
	_, err := f.Upload(t.Context(), "/none", s3fs.UploadOptions{Hold: true, Offset: 5, Owner: "a"})
	if at := (interface{ ResumeAt() int64 })(nil); !errors.As(err, &at) || at.ResumeAt() != 0 {
		t.Errorf("resuming nothing: %v", err)
	}
	// A name that was taken meanwhile.
	u = hold(t, f, "/new", s3fs.UploadOptions{Owner: "a", New: true}, []byte("mine"))
	put(t, f, "/new", "other")
	wantErr(t, u.Commit(t.Context(), time.Time{}), fs.ErrExist)
	if got := get(t, f, "/new"); got != "other" || held(t, g) != 0 {
		t.Errorf("/new is %q, and %d objects are held", got, held(t, g))
	}
}

// What is kept after Hold lacks a byte. It is resumed at any offset by its owner only, also by another process, and also
// if nothing is held back any more. What followed the offset is gone.
func TestHoldKeep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g, g2 := s3peer.Start(t, dir), s3peer.Start(t, dir)
	f, f2 := open(t, g, "", ""), open(t, g2, "", "")
	for i, n := range []int{2, 5000, part, 2*part + 9} {
		data := random(uint64(i), n)
		for _, at := range []int{n - 1, n / 2} {
			for _, without := range []bool{false, true} {
				u := hold(t, f, "/f", s3fs.UploadOptions{Owner: "a"}, data)
				kept, err := u.Keep(t.Context())
				if check(t, err); kept != int64(n-1) {
					t.Fatalf("Keep = %d, want %d", kept, n-1)
				}
				missing(t, f, "/f")
				if kept, when, err := f2.Kept(t.Context(), "/f", "a"); err != nil || kept != int64(n-1) || time.Since(when) > time.Minute {
					t.Fatalf("Kept = %d, %v, %v", kept, when, err)
				}
				_, _, err = f2.Kept(t.Context(), "/f", "b")
				wantErr(t, err, fs.ErrNotExist)
				more := random(uint64(50+i), 3)
				o := s3fs.UploadOptions{Owner: "a", Offset: int64(at)}
				if at == 0 {
					continue
				}
				whole := append(bytes.Clone(data[:at]), more...)
				if without {
					u := begin(t, f2, "/f", o)
					write(t, u, more)
					commit(t, u)
				} else {
					u := hold(t, f2, "/f", o, more)
					wantHeld(t, u, whole)
					missing(t, f, "/f")
					check(t, u.Commit(t.Context(), time.Time{}))
				}
				same(t, f, "/f", whole)
				check(t, f.Remove("/f"))
				if n := held(t, g); n != 0 {
					t.Errorf("%d objects are held at the end", n)
				}
				clean(t, g)
			}
		}
	}
	u := hold(t, f, "/f", s3fs.UploadOptions{Owner: "a"}, []byte("content"))
	_, err := u.Keep(t.Context())
	check(t, err)
	check(t, f.Discard(t.Context(), "/f", "a"))
	wantErr(t, f.Discard(t.Context(), "/f", "a"), fs.ErrNotExist)
	if n := held(t, g); n != 0 {
		t.Errorf("%d objects are held after Discard", n)
	}
	// Resuming and sending nothing cuts the file there.
	u = hold(t, f, "/f", s3fs.UploadOptions{Owner: "a"}, random(9, 2*part))
	_, err = u.Keep(t.Context())
	check(t, err)
	u = hold(t, f, "/f", s3fs.UploadOptions{Owner: "a", Offset: part + 5}, nil)
	wantHeld(t, u, random(9, 2*part)[:part+5])
	check(t, u.Abort(t.Context()))
}

// A large upload that is interrupted before it is whole is resumed as one that is held back.
func TestHoldInterrupted(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	data := random(3, 3*part)
	o := s3fs.UploadOptions{Owner: "a", Hold: true}
	u := begin(t, f, "/f", o)
	write(t, u, data[:2*part+1])
	n, err := u.Keep(t.Context())
	if check(t, err); n != 2*part {
		t.Fatalf("Keep = %d", n)
	}
	o.Offset = n
	h := hold(t, f, "/f", o, data[n:])
	wantHeld(t, h, data)
	missing(t, f, "/f")
	check(t, h.Commit(t.Context(), time.Time{}))
	same(t, f, "/f", data)
	clean(t, g)
	check(t, f.Remove("/f"))
	// One that was begun without a check would be visible with its last part.
	u = begin(t, f, "/f", s3fs.UploadOptions{Owner: "a"})
	write(t, u, data[:part+1])
	_, err = u.Keep(t.Context())
	check(t, err)
	o.Offset = part
	_, err = f.Upload(t.Context(), "/f", o)
	wantErr(t, err, errors.ErrUnsupported)
	_, _, err = f.KeptHeld(t.Context(), "/f", "a")
	wantErr(t, err, fs.ErrNotExist)
}

// Two uploads of one owner to one name do not disturb each other, even if they have the same ETag: the two blocks have the
// same MD5. Each becomes visible with the content that was checked.
func TestHoldTwice(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	const good = "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
	const evil = "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70"
	a, err := hex.DecodeString(good)
	check(t, err)
	b, err := hex.DecodeString(evil)
	check(t, err)
	first := hold(t, f, "/f", s3fs.UploadOptions{Owner: "a"}, a)
	second := hold(t, f, "/f", s3fs.UploadOptions{Owner: "a"}, b)
	wantHeld(t, first, a)
	wantHeld(t, second, b)
	check(t, first.Commit(t.Context(), time.Time{}))
	same(t, f, "/f", a)
	check(t, second.Abort(t.Context()))
	same(t, f, "/f", a)
	if n := held(t, g); n != 0 {
		t.Errorf("%d objects are held at the end", n)
	}
}

// What is held of a version is not mixed with a later one: an upload from the beginning takes its place, also if nothing of
// that is kept. DELE removes all.
func TestHoldSuperseded(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	o := s3fs.UploadOptions{Owner: "a", Hold: true}
	_, err := hold(t, f, "/f", o, []byte("version 1")).Keep(t.Context())
	check(t, err)
	u := begin(t, f, "/f", o)
	write(t, u, []byte("version 2"))
	n, err := u.Keep(t.Context())
	check(t, err)
	_, _, err = f.Kept(t.Context(), "/f", "a")
	if wantErr(t, err, fs.ErrNotExist); n != 0 {
		t.Errorf("Keep = %d", n)
	}
	// An upload that got nothing changes nothing.
	_, err = hold(t, f, "/f", o, []byte("version 3")).Keep(t.Context())
	check(t, err)
	_, err = begin(t, f, "/f", o).Keep(t.Context())
	check(t, err)
	if n, _, err := f.KeptHeld(t.Context(), "/f", "a"); err != nil || n != 8 {
		t.Errorf("Kept = %d, %v", n, err)
	}
	check(t, f.Discard(t.Context(), "/f", "a"))
	if n := held(t, g); n != 0 {
		t.Errorf("%d objects are held after Discard", n)
	}
	// One that passes takes the place of what is held, too.
	_, err = hold(t, f, "/f", o, []byte("version 4")).Keep(t.Context())
	check(t, err)
	check(t, hold(t, f, "/f", o, []byte("version 5")).Commit(t.Context(), time.Time{}))
	if n := held(t, g); n != 0 || get(t, f, "/f") != "version 5" {
		t.Errorf("%d objects are held after Commit, and /f is %q", n, get(t, f, "/f"))
	}
}

// The content of a check whose time is over can't be read any more.
func TestHoldContentEnds(t *testing.T) {
	t.Parallel()
	f := fresh(t)
	u := hold(t, f, "/f", s3fs.UploadOptions{Owner: "a"}, []byte("content"))
	ctx, cancel := context.WithCancel(t.Context())
	content, _, err := u.Content(ctx)
	check(t, err)
	cancel()
	time.Sleep(10 * time.Millisecond)
	if _, err := content.ReadAt(make([]byte, 3), 0); err == nil {
		t.Error("the content is readable after the end of its context")
	}
	wantHeld(t, u, []byte("content"))
	check(t, u.Abort(t.Context()))
}

// What nobody resumes is swept; what was replaced by another version of the file can't be resumed.
func TestHoldSwept(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	u := hold(t, f, "/f", s3fs.UploadOptions{Owner: "a"}, []byte("content"))
	_, err := u.Keep(t.Context())
	check(t, err)
	put(t, f, "/f", "another file")
	_, _, err = f.Kept(t.Context(), "/f", "a")
	wantErr(t, err, fs.ErrNotExist)
	for before, want := range map[time.Time]int{time.Now().Add(-time.Hour): 0, time.Now().Add(time.Hour): 1} {
		if n, err := f.SweepUploads(t.Context(), before); err != nil || want == 0 && n != 0 {
			t.Errorf("swept %d, %v", n, err)
		}
	}
	if n := held(t, g); n != 0 {
		t.Errorf("%d objects are held after the sweep", n)
	}
	if _, err := os.Stat(filepath.Join(g.Dir, s3peer.Bucket, "f")); err != nil {
		t.Error(err)
	}
}
