package s3fs_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"

	"miniftp/fsroot/s3fs"
	"miniftp/internal/s3peer"
)

// An upload that is cut is resumed where Keep says.
func TestKeepAndResume(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	data := random(1, 3*part+1000)
	for _, tt := range []struct {
		cut, kept int
	}{
		{1000, 0}, {part - 1, 0}, {part, 0}, {part + 1000, part}, {2 * part, part}, {2*part + part/2, 2 * part}, {len(data), 3 * part},
	} {
		o := s3fs.UploadOptions{Owner: "alice"}
		ctx, cut := context.WithCancel(t.Context())
		u, err := f.Upload(ctx, "/f", o)
		check(t, err)
		write(t, u, data[:tt.cut])
		cut()
		n, err := u.Keep(t.Context())
		if check(t, err); n != int64(tt.kept) {
			t.Errorf("cut at %d: Keep = %d, want %d", tt.cut, n, tt.kept)
		}
		n, when, err := f.Kept(t.Context(), "/f", "alice")
		if tt.kept == 0 {
			wantErr(t, err, fs.ErrNotExist)
			clean(t, g)
			continue
		}
		if check(t, err); n != int64(tt.kept) || time.Since(when) > time.Minute {
			t.Errorf("cut at %d: Kept = %d, %v; want %d", tt.cut, n, when, tt.kept)
		}
		_, _, err = f.Kept(t.Context(), "/f", "bob")
		wantErr(t, err, fs.ErrNotExist)
		o.Offset = n
		u = begin(t, f, "/f", o)
		if u.Start() != n {
			t.Errorf("Start = %d", u.Start())
		}
		write(t, u, data[n:])
		commit(t, u)
		same(t, f, "/f", data)
		check(t, f.Remove("/f"))
		clean(t, g)
	}
}

// A process that was killed leaves what another one resumes over another gateway.
func TestResumeAfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g, g2 := s3peer.Start(t, dir), s3peer.Start(t, dir)
	dead, err := s3fs.Open(t.Context(), g.URL("", ""), keys)
	check(t, err)
	dead.SetSizes(part, 1000, 6*mib, 7*mib)
	data := random(2, 4*part+5)
	u := begin(t, dead, "/f", s3fs.UploadOptions{Owner: "a"})
	write(t, u, data[:3*part+1]) // the fourth part is lost
	time.Sleep(50 * time.Millisecond)
	for records(t, g) == 0 {
		time.Sleep(time.Millisecond)
	}
	check(t, dead.Close())
	g.Kill()

	f := open(t, g2, "", "")
	n, _, err := f.Kept(t.Context(), "/f", "a")
	if check(t, err); n < 2*part || n > 3*part {
		t.Errorf("Kept = %d", n)
	}
	// At any offset that is not the end of a part, the error says where.
	_, err = f.Upload(t.Context(), "/f", s3fs.UploadOptions{Owner: "a", Offset: 1000})
	if at := (interface{ ResumeAt() int64 })(nil); !errors.As(err, &at) || at.ResumeAt() != n {
		t.Errorf("at 1000: %v", err)
	}
	// The end of the first part is one. The later parts do not count any more, even if this one is cut, too.
	u = begin(t, f, "/f", s3fs.UploadOptions{Owner: "a", Offset: part})
	other := random(3, part)
	write(t, u, other)
	write(t, u, []byte("x")) // is not kept
	n, err = u.Keep(t.Context())
	if check(t, err); n != 2*part {
		t.Errorf("Keep = %d", n)
	}
	n, _, err = f.Kept(t.Context(), "/f", "a")
	if check(t, err); n != 2*part {
		t.Errorf("Kept = %d, although the third part is older", n)
	}
	u = begin(t, f, "/f", s3fs.UploadOptions{Owner: "a", Append: true})
	write(t, u, []byte("end"))
	commit(t, u)
	same(t, f, "/f", slicesConcat(data[:part], other, []byte("end")))
	clean(t, g2)
}

func slicesConcat(b ...[]byte) []byte { return bytes.Join(b, nil) }

func TestTwoResumers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g, g2 := s3peer.Start(t, dir), s3peer.Start(t, dir)
	f1, f2 := open(t, g, "", ""), open(t, g2, "", "")
	data := random(4, 3*part)
	o := s3fs.UploadOptions{Owner: "a"}
	old := begin(t, f1, "/f", o)
	write(t, old, data[:2*part+1])
	for records(t, g) == 0 {
		time.Sleep(time.Millisecond)
	}
	// In the same process the upload is still running.
	_, err := f1.Upload(t.Context(), "/f", s3fs.UploadOptions{Owner: "a", Offset: part})
	wantErr(t, err, syscall.EBUSY)
	_, _, err = f1.Kept(t.Context(), "/f", "a")
	wantErr(t, err, syscall.EBUSY)

	// Another process takes the upload over.
	var n int64
	for n == 0 {
		n, _, _ = f2.Kept(t.Context(), "/f", "a")
	}
	o.Offset = part
	u := begin(t, f2, "/f", o)
	write(t, u, data[part:])
	err = old.Commit(t.Context(), time.Time{})
	wantErr(t, err, syscall.ESTALE)
	commit(t, u)
	same(t, f2, "/f", data)
	clean(t, g)

	// Two processes resume at the same time: one of them is refused, or fails at its end.
	check(t, f1.Remove("/f"))
	for range 5 {
		u = begin(t, f1, "/f", s3fs.UploadOptions{Owner: "a"})
		write(t, u, data[:part+1])
		_, err = u.Keep(t.Context())
		check(t, err)
		ok := make(chan bool, 2)
		for _, f := range []*s3fs.Fs{f1, f2} {
			go func() {
				u, err := f.Upload(t.Context(), "/f", o)
				if err == nil {
					_, _ = u.Write(data[part:])
					err = u.Commit(t.Context(), time.Time{})
				}
				if err != nil && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ESTALE) && !isResume(err) {
					t.Error(err)
				}
				ok <- err == nil
			}()
		}
		// Both may succeed one after the other: the second one then writes the same bytes into the file.
		if a, b := <-ok, <-ok; a || b {
			same(t, f1, "/f", data)
			check(t, f1.Remove("/f"))
		}
		// VersityGW may keep a part that arrives while the upload is completed, so only the records are counted.
		if n := records(t, g); n != 0 {
			t.Errorf("%d records are left", n)
		}
	}
}

func isResume(err error) bool {
	var at interface{ ResumeAt() int64 }
	return errors.As(err, &at)
}

// An append that was cut is continued at its offset. The next append begins at the end of the file, whose size is what
// its client knows.
func TestCutAppend(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	old, more := random(1, 3*part+3), random(2, 2*part)
	put(t, f, "/f", string(old))
	o := s3fs.UploadOptions{Owner: "a", Append: true}
	u := begin(t, f, "/f", o)
	write(t, u, more[:part+2])
	n, err := u.Keep(t.Context())
	if check(t, err); n != int64(len(old)+part) {
		t.Errorf("Keep = %d", n)
	}
	same(t, f, "/f", old)
	u = begin(t, f, "/f", s3fs.UploadOptions{Owner: "a", Offset: n})
	write(t, u, more[part:])
	commit(t, u)
	old = append(old, more...)
	same(t, f, "/f", old)

	u = begin(t, f, "/f", o)
	write(t, u, more[:part+2])
	_, err = u.Keep(t.Context())
	check(t, err)
	u = begin(t, f, "/f", o)
	if u.Start() != int64(len(old)) {
		t.Errorf("Start = %d, want %d", u.Start(), len(old))
	}
	write(t, u, more)
	commit(t, u)
	same(t, f, "/f", append(old, more...))
	_, err = f.SweepUploads(t.Context(), time.Now().Add(time.Hour))
	check(t, err)
	clean(t, g)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "", "")
	cut := func(name string) {
		u := begin(t, f, name, s3fs.UploadOptions{Owner: "a"})
		write(t, u, random(1, part+1))
		_, err := u.Keep(t.Context())
		check(t, err)
	}
	cut("/one")
	cut("/two")
	running := begin(t, f, "/three", s3fs.UploadOptions{Owner: "a"})
	write(t, running, random(1, part+1))
	// A multipart upload without a record is that of another program.
	foreign := begin(t, f, "/four", s3fs.UploadOptions{Owner: "a"})
	write(t, foreign, random(1, part+1))
	_, err := foreign.Keep(t.Context())
	check(t, err)
	check(t, os.Remove(g.Path(f.RecordName("four", "a"))))
	sweep := func(age time.Duration, want int) {
		t.Helper()
		if n, err := f.SweepUploads(t.Context(), time.Now().Add(-age)); n != want || err != nil {
			t.Errorf("SweepUploads = %d, %v; want %d", n, err, want)
		}
	}
	sweep(time.Hour, 0)
	sweep(-time.Hour, 2)
	_, _, err = f.Kept(t.Context(), "/one", "a")
	wantErr(t, err, fs.ErrNotExist)
	commit(t, running)
	if r, m := records(t, g), multiparts(t, g); r != 0 || m != 1 {
		t.Errorf("%d records and %d multipart uploads are left", r, m)
	}
	// A record whose upload is gone.
	cut("/five")
	check(t, os.RemoveAll(g.Path(".sgwtmp/multipart")))
	sweep(time.Hour, 0)
	if r := records(t, g); r != 0 {
		t.Errorf("%d records are left", r)
	}
}
