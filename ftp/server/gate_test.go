package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// gated changes the options of a server so that check decides about uploads.
func gated(check server.GateFunc) func(*server.Options) {
	return func(o *server.Options) { o.Gate = check }
}

// byContent is a Gate that refuses what begins with "bad" and can't check what begins with "down".
func byContent(_ context.Context, u *server.GateUpload) error {
	b, err := io.ReadAll(io.NewSectionReader(u.Content, 0, u.Size))
	switch {
	case err != nil || int64(len(b)) != u.Size:
		return fmt.Errorf("read %d of %d bytes: %w", len(b), u.Size, err)
	case strings.HasPrefix(string(b), "bad"):
		return fmt.Errorf("wrapped: %w", &server.GateRefusal{Text: "refused by the check: Bad\r\n226 Content"})
	case strings.HasPrefix(string(b), "down"):
		return errors.New("no answer from /secret/path")
	case strings.HasPrefix(string(b), "panic"):
		panic("the gate is broken")
	}
	return nil
}

// sends uploads b and returns the final reply.
func (c *ctl) sends(line string, b string) ftp.Reply {
	c.t.Helper()
	d := c.starts(line)
	_, err := io.WriteString(d, b)
	check(c.t, err)
	check(c.t, d.Close())
	return c.reply()
}

func wantText(t *testing.T, r ftp.Reply, code ftp.Code, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if r.Code != code || !strings.Contains(r.Text(), part) {
			t.Errorf("reply %v, want %d with %q", r, code, part)
		}
	}
}

// partials returns the names of partial uploads in the root.
func partials(t *testing.T, fsys afero.Fs) (all []string) {
	for _, name := range names(t, fsys, "/") {
		if _, _, ok := server.ParsePartial(name); ok {
			all = append(all, name)
		}
	}
	return all
}

// What passes becomes visible. What is refused is gone. What could not be checked is hidden, and is checked again when
// its owner resumes it at its end.
func TestGate(t *testing.T) {
	bothAndBucket(t, func(t *testing.T, fsys afero.Fs, hidden func() int) {
		s := serve(t, fsys, gated(byContent))
		c := s.login(t, "rw")
		c.put("STOR good", []byte("good content"))
		if got := read(t, fsys, "/good"); got != "good content" {
			t.Errorf("/good contains %q", got)
		}
		r := c.sends("STOR virus", "bad content")
		wantText(t, r, 550, "/virus: refused by the check: Bad")
		if len(r.Lines) != 1 || strings.Contains(r.Text(), "\n") {
			t.Errorf("the reply has several lines: %q", r.Lines)
		}
		c.cmd("REST 11", 350)
		c.cmd("EPSV", 229)
		c.cmd("STOR virus", 554)
		if got := names(t, fsys, "/"); !slices.Equal(got, []string{"good"}) {
			t.Errorf("there is %q, want only good", got)
		}
		// A refused upload leaves the file that it was to replace.
		wantText(t, c.sends("STOR good", "bad content"), 550, "/good: refused")
		if got := read(t, fsys, "/good"); got != "good content" {
			t.Errorf("/good contains %q", got)
		}
		r = c.sends("STOR later", "down for now")
		wantText(t, r, 451, "could not be checked", "REST 11")
		if strings.Contains(r.Text(), "secret") {
			t.Errorf("the reply shows why: %v", r)
		}
		if r := c.cmd("SIZE later", 213); r.Text() != "11" { // less than the whole, which would look complete
			t.Errorf("the size is %v", r)
		}
		c.cmd("EPSV", 229)
		c.cmd("RETR later", 550)
		if n := hidden(); n != 1 || exists(fsys, "/later") {
			t.Errorf("there are %d hidden uploads, want one; and %q", n, names(t, fsys, "/"))
		}
		c.cmd("REST 11", 350)
		wantText(t, c.sends("STOR later", "w"), 451, "REST 11")
		c.cmd("REST 4", 350)
		wantText(t, c.sends("STOR later", ": this changes nothing"), 451, "REST 25")
		wantText(t, c.sends("APPE later", "g!"), 451, "REST 26")
		c.put("STOR later", []byte("up again"))
		if got := read(t, fsys, "/later"); got != "up again" || hidden() != 0 {
			t.Errorf("/later contains %q, beside %d hidden uploads", got, hidden())
		}
		wantText(t, c.sends("STOR panics", "panic"), 451, "could not be checked")
		wantText(t, c.sends("STOU x", "down"), 451, "Nothing is kept")
		wantText(t, c.sends("STOU x", "bad"), 550, "refused")
		c.put("STOU x", []byte("fine"))
		c.put("STOR empty", nil)
		for name, want := range map[string]string{"/x": "fine", "/empty": ""} {
			if got := read(t, fsys, name); got != want {
				t.Errorf("%s contains %q", name, got)
			}
		}
	})
}

// bothAndBucket is like both, and also runs f over a bucket. hidden returns how many complete uploads are held back.
func bothAndBucket(t *testing.T, f func(t *testing.T, fsys afero.Fs, hidden func() int)) {
	both(t, func(t *testing.T, fsys afero.Fs) { f(t, fsys, func() int { return len(partials(t, fsys)) }) })
	t.Run("bucket", func(t *testing.T) {
		fsys, dir := openBucket(t)
		f(t, fsys, func() int {
			held, err := filepath.Glob(filepath.Join(dir, ".miniftp", "held", "*"))
			check(t, err)
			return len(held)
		})
	})
}

// The check sees the whole file, also that of an upload in several parts, and nobody sees the file before the verdict.
func TestGateSeesTheWhole(t *testing.T) {
	bothAndBucket(t, func(t *testing.T, fsys afero.Fs, _ func() int) {
		asked, verdict := make(chan string), make(chan error)
		s := serve(t, fsys, gated(func(ctx context.Context, u *server.GateUpload) error {
			b, err := io.ReadAll(io.NewSectionReader(u.Content, 0, u.Size))
			if err != nil {
				return err
			}
			asked <- fmt.Sprintf("%s %s %s %d %d %s", u.User, u.Verb, u.Path, u.Offset, u.Size, b)
			return <-verdict
		}))
		c, other := s.login(t, "rw"), s.login(t, "rw")
		upload := func(line, b, want string, err error) ftp.Reply {
			t.Helper()
			d := c.starts(line)
			_, writeErr := io.WriteString(d, b)
			check(t, writeErr)
			check(t, d.Close())
			if got := <-asked; got != want {
				t.Errorf("asked about %q, want %q", got, want)
			}
			c.cmd("NOOP", 200)
			wantText(t, c.cmd("STAT", 211), 211, "it is being checked")
			other.cmd("SIZE f", 550)
			if got := other.lines("NLST"); len(got) != 0 {
				t.Errorf("another session sees %q", got)
			}
			verdict <- err
			return c.reply()
		}
		upload("STOR f", "one, ", "rw STOR /f 0 5 one, ", errors.New("down"))
		c.cmd("REST 4", 350)
		upload("STOR f", " two, ", "rw STOR /f 4 10 one, two, ", errors.New("down"))
		wantText(t, upload("APPE f", " three", "rw APPE /f 9 15 one, two, three", nil), 226, "Done")
		if got := read(t, fsys, "/f"); got != "one, two, three" {
			t.Errorf("/f contains %q", got)
		}
	})
}

// What would be visible before it is checked is refused, and changes nothing.
func TestGateNothingInPlace(t *testing.T) {
	fsys, dir := disk(t)
	write(t, fsys, "/f", "old content")
	check(t, os.Symlink("f", filepath.Join(dir, "link")))
	check(t, os.Link(filepath.Join(dir, "f"), filepath.Join(dir, "hard")))
	s := serve(t, fsys, gated(byContent))
	c := s.login(t, "rw")
	for _, line := range []string{"APPE f", "STOR link", "APPE link", "STOR hard"} {
		c.cmd("EPSV", 229)
		wantText(t, c.cmd(line), 550, "uploads are checked")
	}
	c.cmd("REST 3", 350)
	wantText(t, c.cmd("STOR f"), 550, "uploads are checked")
	if got := read(t, fsys, "/f"); got != "old content" {
		t.Errorf("/f contains %q", got)
	}
	c.cmd("DELE hard", 250)
	c.put("STOR f", []byte("new content"))
	if got := read(t, fsys, "/f"); got != "new content" {
		t.Errorf("/f contains %q", got)
	}
	if got := names(t, fsys, "/"); len(got) != 2 {
		t.Errorf("there is %q", got)
	}
	if _, err := server.New(server.Options{Auth: accounts(fsys), Gate: server.GateFunc(byContent), UploadInPlace: true}); err == nil {
		t.Error("a Gate and UploadInPlace are accepted together")
	}
}

// What was interrupted in a bucket without a Gate would be visible with its last part. So it can't be resumed with one, and
// SIZE does not show it. An upload from the beginning takes its place.
func TestGateOnLater(t *testing.T) {
	fsys, _ := openBucket(t)
	c := serve(t, fsys).login(t, "rw")
	d := c.starts("STOR f")
	_, err := d.Write(make([]byte, 12<<20))
	check(t, err)
	check(t, d.SetLinger(0))
	check(t, d.Close())
	c.want(426)
	c.cmd("SIZE f", 213)
	c = serve(t, fsys, gated(byContent)).login(t, "rw")
	c.cmd("SIZE f", 550)
	c.cmd("REST 8388608", 350)
	c.cmd("EPSV", 229)
	c.cmd("STOR f", 554)
	c.put("STOR f", []byte("good"))
	if got := read(t, fsys, "/f"); got != "good" {
		t.Errorf("/f contains %q", got)
	}
}

// A storage whose uploads are visible before they can be read gets none.
func TestGateUploadFs(t *testing.T) {
	s := serve(t, newBucket(), gated(byContent))
	c := s.login(t, "rw")
	for _, line := range []string{"STOR f", "APPE f", "STOU f", "STOU f"} {
		c.cmd("EPSV", 229)
		wantText(t, c.cmd(line), 550, "not possible in this directory")
	}
}

// hangs is a Gate that only the end of its context ends. It sends to began when it begins.
func hangs(began chan<- struct{}) server.GateFunc {
	return func(ctx context.Context, _ *server.GateUpload) error {
		began <- struct{}{}
		<-ctx.Done()
		return nil // what a Gate returns after the end of its context does not count
	}
}

// ABOR stops a check: the upload stays hidden and can be resumed.
func TestGateAbort(t *testing.T) {
	bothAndBucket(t, func(t *testing.T, fsys afero.Fs, hidden func() int) {
		began := make(chan struct{}, 9)
		s := serve(t, fsys, gated(hangs(began)))
		c := s.login(t, "rw")
		d := c.starts("STOR f")
		_, err := io.WriteString(d, "content")
		check(t, err)
		check(t, d.Close())
		<-began
		c.cmd("NOOP", 200)
		wantText(t, c.cmd("ABOR"), 426, "The first 6 are kept")
		c.want(226)
		if exists(fsys, "/f") || hidden() != 1 {
			t.Errorf("there is %q, and %d hidden uploads", names(t, fsys, "/"), hidden())
		}
	})
}

// A check has a limited time, and a session that ends or is ended makes nothing visible that was not checked.
func TestGateEnds(t *testing.T) {
	fsys, _ := disk(t)
	began := make(chan struct{}, 9)
	s := serve(t, fsys, gated(hangs(began)), func(o *server.Options) { o.GateTimeout = 50 * time.Millisecond })
	c := s.login(t, "rw")
	wantText(t, c.sends("STOR late", "content"), 451, "longer than 50ms", "REST 6")

	s = serve(t, fsys, gated(hangs(began)))
	c = s.login(t, "rw")
	check(t, c.starts("STOR closed").Close())
	d := s.login(t, "rw").starts("STOR closed2")
	_, err := io.WriteString(d, "content")
	check(t, err)
	check(t, d.Close())
	<-began
	<-began
	<-began
	_ = s.Close()
	if got := names(t, fsys, "/"); len(got) != 2 || len(partials(t, fsys)) != 2 {
		t.Errorf("there is %q, want two partial uploads", got)
	}
}

// The verdict about an upload that is whole does not need its client any more.
func TestGateWithoutClient(t *testing.T) {
	fsys, _ := disk(t)
	began, verdict := make(chan struct{}), make(chan error)
	s := serve(t, fsys, gated(func(context.Context, *server.GateUpload) error { began <- struct{}{}; return <-verdict }))
	c := s.login(t, "rw")
	d := c.starts("STOR f")
	_, err := io.WriteString(d, "content")
	check(t, err)
	check(t, d.Close())
	<-began
	check(t, c.Close())
	verdict <- nil
	await(t, func() bool { return exists(fsys, "/f") })
}

// While checks hang, the number of them is bounded, other sessions work, and each upload gets its answer in time.
func TestGateHangsForOthers(t *testing.T) {
	fsys, _ := disk(t)
	write(t, fsys, "/get", "something to get")
	began := make(chan struct{}, 100)
	const uploads = 20
	s := serve(t, fsys, gated(hangs(began)), func(o *server.Options) { o.MaxChecks, o.GateTimeout = 3, 3*time.Second })
	var wg sync.WaitGroup
	texts := make([]string, uploads)
	for i := range uploads {
		c := s.login(t, "rw")
		d := c.starts(fmt.Sprintf("STOR f%d", i))
		_, err := io.WriteString(d, "content")
		check(t, err)
		check(t, d.Close())
		wg.Go(func() {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			r, err := ftp.ReadReply(c.lr)
			texts[i] = fmt.Sprint(r, err)
		})
	}
	for range 3 {
		<-began
	}
	if got := string(s.login(t, "ro").get("RETR get")); got != "something to get" {
		t.Errorf("another session got %q", got)
	}
	if len(began) != 0 {
		t.Errorf("%d checks run at once, want 3", 3+len(began))
	}
	wg.Wait()
	for _, text := range texts {
		if !strings.HasPrefix(text, "451") {
			t.Errorf("an upload got %q", text)
		}
	}
	if got := len(partials(t, fsys)); got != uploads {
		t.Errorf("%d are kept, want %d", got, uploads)
	}
}

// An upload whose turn does not come in time is answered, too.
func TestGateQueue(t *testing.T) {
	fsys, _ := disk(t)
	began, release := make(chan struct{}), make(chan struct{})
	s := serve(t, fsys, gated(func(ctx context.Context, _ *server.GateUpload) error {
		began <- struct{}{}
		<-release // although a Gate should heed its context
		<-ctx.Done()
		return nil
	}), func(o *server.Options) { o.MaxChecks, o.GateTimeout = 1, 50*time.Millisecond })
	first, second := s.login(t, "rw"), s.login(t, "rw")
	d := first.starts("STOR first")
	_, err := io.WriteString(d, "content")
	check(t, err)
	check(t, d.Close())
	<-began
	wantText(t, second.sends("STOR second", "content"), 451, "too many other uploads are being checked", "REST 6")
	close(release)
	wantText(t, first.reply(), 451, "longer than 50ms")
}

// A file that changes while it is checked does not become visible.
func TestGateFileChanges(t *testing.T) {
	fsys, dir := disk(t)
	for name, change := range map[string]func(string) error{
		"longer":   func(p string) error { return os.WriteFile(p, []byte("another content"), 0o600) },
		"touched":  func(p string) error { return os.Chtimes(p, time.Time{}, time.Now().Add(time.Hour)) },
		"replaced": func(p string) error { return errors.Join(os.Remove(p), os.WriteFile(p, []byte("content"), 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, fsys, gated(func(context.Context, *server.GateUpload) error {
				return change(filepath.Join(dir, partials(t, fsys)[0]))
			}))
			c := s.login(t, "rw")
			r := c.sends("STOR f", "content")
			if r.Code.Class() <= ftp.Intermediate || exists(fsys, "/f") {
				t.Errorf("reply %v", r)
			}
			for _, p := range partials(t, fsys) {
				check(t, os.Remove(filepath.Join(dir, p)))
			}
		})
	}
}

// A refused upload does not count for the quota, and one that could not be checked counts when it is visible.
func TestGateQuota(t *testing.T) {
	fsys := fsroot.NewMem()
	s := serve(t, fsys, gated(byContent), limited(100, 5))
	c := s.login(t, "rw")
	c.sends("STOR virus", "bad content")
	counts(t, c, fsys, "a refusal")
	c.sends("STOR later", "down for now")
	counts(t, c, fsys, "an upload that could not be checked")
	c.put("STOR f", []byte("content"))
	counts(t, c, fsys, "an upload that has passed")
}

// The events of a refusal name it.
func TestGateEvents(t *testing.T) {
	var mu sync.Mutex
	var got []string
	s := serve(t, fsroot.NewMem(), gated(byContent), func(o *server.Options) {
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			mu.Lock()
			defer mu.Unlock()
			switch h := e.What.(type) {
			case ftp.Refused:
				got = append(got, fmt.Sprintf("%v %s %s", h.Reason, h.Verb, h.Path))
			case ftp.TransferDone:
				got = append(got, fmt.Sprintf("%s %v", h.Path, h.Err != nil))
			}
		})
		o.HashUploads = true
	})
	c := s.login(t, "rw")
	c.put("STOR good", []byte("good"))
	c.sends("STOR virus", "bad")
	c.sends("STOR later", "down")
	c.cmd("NOOP", 200)
	mu.Lock()
	defer mu.Unlock()
	want := []string{
		"/good false", "upload refused by the check STOR /virus", "/virus true", "upload could not be checked STOR /later", "/later true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}
