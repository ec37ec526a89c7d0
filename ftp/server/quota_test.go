package server_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// limited changes the options of a server so that all users have a quota.
func limited(bytes, files int64) func(*server.Options) {
	return func(o *server.Options) {
		users := server.Static{}
		for name, u := range o.Auth.(server.Static) {
			u.Account.Quota = server.Quota{Bytes: bytes, Files: files}
			users[name] = u
		}
		o.Auth = users
	}
}

// counts checks that the count of the quota is what the tree contains.
func counts(t *testing.T, c *ctl, fsys afero.Fs, after string) {
	t.Helper()
	var bytes, files int64
	check(t, afero.Walk(fsys, "/", func(p string, fi fs.FileInfo, err error) error {
		if _, _, partial := server.ParsePartial(fi.Name()); err == nil && fi.Mode().IsRegular() && !partial {
			bytes += fi.Size()
			files++
		}
		return err
	}))
	r := c.cmd("SITE QUOTA", 200)
	want := fmt.Sprintf(" %d of 100 bytes used %d of 5 files used", bytes, files)
	if got := strings.Join(r.Lines[1:3], ""); got != want {
		t.Errorf("after %s: %q, want %q", after, got, want)
	}
}

// The quota is counted truthfully by every command that changes something, on every storage, and never exceeded.
func TestQuota(t *testing.T) {
	for name, open := range map[string]func(*testing.T) (afero.Fs, func(*server.Options)){
		"memory": func(*testing.T) (afero.Fs, func(*server.Options)) { return fsroot.NewMem(), nil },
		"disk":   func(t *testing.T) (afero.Fs, func(*server.Options)) { root, _ := disk(t); return root, nil },
		"bucket": func(*testing.T) (afero.Fs, func(*server.Options)) { return newBucket(), nil },
		"in place": func(*testing.T) (afero.Fs, func(*server.Options)) {
			return fsroot.NewMem(), func(o *server.Options) { o.UploadInPlace = true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			files, change := open(t)
			check(t, files.Mkdir("/d", 0o755))
			write(t, files, "/d/before", "0123456789")
			opts := []func(*server.Options){limited(100, 5)}
			if change != nil {
				opts = append(opts, change)
			}
			s := serve(t, files, opts...)
			c := s.login(t, "rw")
			c.cmd("TYPE I", 200)
			counts(t, c, files, "the first login")
			ten := []byte("0123456789")
			for _, step := range []struct {
				line    string
				content []byte
			}{
				{"STOR a", ten},
				{"STOR a", []byte("01234")},
				{"STOR a", append(ten, ten...)},
				{"APPE a", ten},
				{"APPE new", ten},
				{"STOU u", ten},
				{"REST 5", nil},
				{"STOR a", ten},
				{"REST 28", nil},
				{"STOR a", ten},
				{"STOR empty", nil},
			} {
				if strings.HasPrefix(step.line, "REST") {
					c.cmd(step.line, 350)
					continue
				}
				c.put(step.line, step.content)
				counts(t, c, files, step.line)
			}
			c.cmd("EPSV", 229)
			c.cmd("STOR sixth", 552) // files
			c.cmd("RNFR empty", 350)
			c.cmd("RNTO new", 250)
			counts(t, c, files, "RNTO")
			c.cmd("DELE u", 250)
			counts(t, c, files, "DELE")
			c.cmd("RNFR d", 350)
			c.cmd("RNTO e", 250)
			counts(t, c, files, "RNTO of a directory")

			c.put("STOR a", make([]byte, 90)) // with /e/before all of it
			counts(t, c, files, "what fills it")
			c.cmd("EPSV", 229)
			c.cmd("APPE a", 552)
			c.cmd("STOR b", 552)
			if r := c.cmd("ALLO 1"); r.Code != 552 {
				t.Errorf("ALLO beyond the quota: %v", r)
			}
			c.put("STOR a", make([]byte, 40))
			c.cmd("ALLO 50", 200)
			c.cmd("ALLO 51", 552)
			d := c.starts("STOR big")
			_, _ = d.Write(make([]byte, 80))
			_ = d.Close()
			c.want(552)
			if name != "in place" && exists(files, "/big") {
				t.Error("a file that exceeds the quota was stored")
			}
			counts(t, c, files, "a file that is too large")

			// A server that was restarted counts again.
			c = serve(t, files, opts...).login(t, "rw")
			counts(t, c, files, "a restart")
		})
	}
}

// Of uploads that together exceed the quota, those that fit are stored.
func TestQuotaOfManySessions(t *testing.T) {
	files, state := newBucket(), server.NewMemState()
	var all []*site
	for range 2 {
		all = append(all, serve(t, files, limited(100, 50), func(o *server.Options) { o.State = state }))
		all[len(all)-1].connect(t).cmd("QUIT", 221)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := 0
	for i := range 12 {
		c := all[i%2].login(t, "rw")
		c.cmd("TYPE I", 200)
		wg.Go(func() {
			d := c.epsv()
			defer d.Close()
			c.send(fmt.Sprint("STOR f", i))
			if c.reply().Code != 150 {
				return
			}
			_, _ = d.Write(make([]byte, 30))
			_ = d.Close()
			if r := c.reply(); r.Code == 226 {
				mu.Lock()
				stored++
				mu.Unlock()
			} else if r.Code != 552 {
				t.Errorf("the reply is %v", r)
			}
		})
	}
	wg.Wait()
	for _, s := range all {
		check(t, s.Close()) // now, because noLeaks looks at the sockets of both when the second has ended
	}
	if n := len(names(t, files, "/")); stored != 3 || n != 3 {
		t.Errorf("%d uploads of 30 bytes were confirmed and %d stored; the quota is 100", stored, n)
	}
}

// What a killed server has begun is found out from the files.
func TestQuotaAfterKill(t *testing.T) {
	t.Cleanup(server.SetPendingTime(time.Millisecond))
	for _, made := range []bool{true, false} {
		files, state := fsroot.NewMem(), server.NewMemState()
		s := serve(t, files, limited(100, 5), func(o *server.Options) { o.State = state })
		c := s.login(t, "rw")
		c.cmd("TYPE I", 200)
		check(t, server.BeginChange(t.Context(), state, "/f", 7, 1))
		if made {
			write(t, files, "/f", "content")
		}
		time.Sleep(5 * time.Millisecond)
		c.put("STOR g", []byte("x"))
		counts(t, c, files, fmt.Sprint("a killed server; the change was made: ", made))
	}
}

// Of changes of one file at once, each counts only what it has replaced itself.
func TestQuotaOfOneFile(t *testing.T) {
	for name, inPlace := range map[string]bool{"bucket": false, "in place": true} {
		t.Run(name, func(t *testing.T) {
			var files afero.Fs = fsroot.NewMem()
			if !inPlace {
				files = newBucket()
			}
			write(t, files, "/f", strings.Repeat("x", 40))
			write(t, files, "/other", strings.Repeat("x", 40))
			s := serve(t, files, limited(100, 5), func(o *server.Options) { o.UploadInPlace = inPlace })
			a, b := s.login(t, "rw"), s.login(t, "rw")
			a.cmd("TYPE I", 200)
			b.cmd("TYPE I", 200)

			// Both begin when the file has 40 bytes.
			d := a.starts("STOR f")
			b.send("EPSV")
			b.want(229)
			b.send("STOR f")
			_, err := d.Write([]byte("1"))
			check(t, err)
			check(t, d.Close())
			a.want(226)
			b.cmd("ABOR", 226, 426, 425)
			if r := b.cmd("NOOP"); r.Code == 226 {
				b.want(200)
			}
			counts(t, a, files, "a second upload that was given up")

			var all []net.Conn
			for _, c := range []*ctl{a, b} {
				if inPlace && c == b {
					break
				}
				all = append(all, c.starts("STOR f"))
			}
			for i, d := range all {
				_, err := d.Write([]byte("22"))
				check(t, err)
				check(t, d.Close())
				[]*ctl{a, b}[i].want(226)
			}
			counts(t, a, files, "two uploads of one file")

			// The file is deleted while it is written.
			d = a.starts("STOR f")
			_, err = d.Write([]byte("333"))
			check(t, err)
			awaitTrue(t, "the bytes", func() bool { return !inPlace || size(files, "/f") == 3 })
			b.cmd("DELE f", 250)
			check(t, d.Close())
			a.want(226, 450)
			counts(t, a, files, "a file that was deleted while it was written")
		})
	}
}

func size(fsys afero.Fs, name string) int64 {
	fi, err := fsys.Stat(name)
	if err != nil {
		return -1
	}
	return fi.Size()
}

// An upload that is resumed to replace a file counts as what it has become.
func TestQuotaOfResumedUpload(t *testing.T) {
	b := newBucket()
	write(t, b, "/f", strings.Repeat("x", 40))
	c := serve(t, b, limited(100, 5)).login(t, "rw")
	c.cmd("TYPE I", 200)
	cutStored(t, b, c, "STOR f", "01234567")
	c.cmd("REST 8", 350)
	c.put("STOR f", []byte("89"))
	if got := read(t, b, "/f"); got != "0123456789" {
		t.Errorf("stored %q", got)
	}
	counts(t, c, b, "an upload that was resumed")
}

// failingState is a State that fails, or that reports a conflict although it has stored a value, which is then changed
// by another server.
type failingState struct {
	server.State
	fails, loses atomic.Bool
}

func (s *failingState) Put(ctx context.Context, key string, value []byte, version string) (string, error) {
	if s.fails.Load() {
		return "", errors.New("the state can't be reached")
	}
	version, err := s.State.Put(ctx, key, value, version)
	if err == nil && s.loses.CompareAndSwap(true, false) {
		if _, err := s.State.Put(ctx, key, value, version); err != nil {
			return "", err
		}
		return "", syscall.ESTALE
	}
	return version, err
}

// An upload is kept if its quota can't be found out, and no change counts twice because a reply was lost.
func TestQuotaWithoutState(t *testing.T) {
	b := newBucket()
	state := &failingState{State: server.NewMemState()}
	s := serve(t, b, limited(100, 5), func(o *server.Options) { o.State = state })
	c := s.login(t, "rw")
	c.cmd("TYPE I", 200)
	for range 2 {
		b.commits = make(chan struct{})
		state.loses.Store(true) // of enter, and then of the confirmation
		d := c.starts("STOR f")
		_, err := d.Write([]byte("0123"))
		check(t, err)
		check(t, d.Close())
		<-b.commits
		state.loses.Store(true)
		<-b.commits
		c.want(226)
		counts(t, c, b, "a change whose reply was lost")
	}
	b.commits = nil

	state.fails.Store(true)
	d := c.starts("STOR g")
	_, err := d.Write([]byte("012345"))
	check(t, err)
	check(t, d.Close())
	c.want(451)
	if n := b.open.Load(); n != 0 {
		t.Errorf("%d uploads were not ended", n)
	}
	if r := c.cmd("SIZE g", 213); r.Text() != "4" {
		t.Errorf("the size is %v", r)
	}
	d2 := s.connect(t)
	d2.cmd("USER ro", 331) // has a count of its own, which can't be stored
	if r := d2.cmd("PASS ro", 530); strings.Contains(r.Text(), "incorrect") {
		t.Errorf("a login without the state: %v", r)
	}
	state.fails.Store(false)
}
