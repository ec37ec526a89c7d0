package server_test

import (
	"fmt"
	"io/fs"
	"strings"
	"sync"
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
				{"STOR a", ten}, {"STOR a", []byte("01234")}, {"STOR a", append(ten, ten...)}, {"APPE a", ten}, {"APPE new", ten},
				{"STOU u", ten}, {"REST 5", nil}, {"STOR a", ten}, {"REST 28", nil}, {"STOR a", ten}, {"STOR empty", nil},
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
		check(t, server.BeginChange(t.Context(), state, "/f", 7, 7, 1))
		if made {
			write(t, files, "/f", "content")
		}
		time.Sleep(5 * time.Millisecond)
		c.put("STOR g", []byte("x"))
		counts(t, c, files, fmt.Sprint("a killed server; the change was made: ", made))
	}
}
