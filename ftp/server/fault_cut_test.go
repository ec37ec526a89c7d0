package server_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"miniftp/ftp/internal/testutil"

	"github.com/spf13/afero"

	"miniftp/ftp/server"
)

// cutter transfers files and interrupts the transfers at random.
type cutter struct {
	t    *testing.T
	s    *site
	fs   afero.Fs
	r    *rand.Rand
	left *atomic.Int64 // remaining interruptions, of all cutters
	name string
}

// Data connections are cut at random bytes, by a reset or a normal close, in both directions and with either
// end listening, and clients are killed. No half-written file ever gets its final name, each resume continues
// with the right bytes, and in the end all files are whole. Sweeps that run at the same time do no harm.
func TestFaultCuts(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	fsys, _ := disk(t)
	s := serve(t, fsys)
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	left := new(atomic.Int64)
	left.Store(int64(times(200, 12_000)))
	ctx, stop := context.WithCancel(t.Context())
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		for ctx.Err() == nil {
			if did, err := server.Sweep(ctx, fsys, time.Hour); did != (server.Swept{}) || err != nil && ctx.Err() == nil {
				t.Errorf("a concurrent sweep did %+v, %v", did, err)
				return
			}
		}
	}()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			c := &cutter{t, s, fsys, rand.New(rand.NewPCG(seed, uint64(i))), left, fmt.Sprintf("f%d", i)}
			for round := 0; left.Load() > 0 && !t.Failed(); round++ {
				c.file(random(1 << 21)[c.r.IntN(1<<20):][:1+c.r.IntN(1<<20)], round)
			}
		})
	}
	all.Wait()
	stop()
	<-swept
	for _, name := range names(t, fsys, "/") {
		if strings.HasPrefix(name, ".") {
			t.Errorf("left: %s", name)
		}
	}
}

// file uploads a file, new or over an old one, and downloads it again.
func (c *cutter) file(content []byte, round int) {
	older := ""
	if round%2 == 1 {
		older = fmt.Sprintf("the old file of round %d", round)
		if err := afero.WriteFile(c.fs, "/"+c.name, []byte(older), 0o644); err != nil {
			c.t.Error(err)
			return
		}
	} else {
		_ = c.fs.Remove("/" + c.name)
	}
	for !c.upload(content, older) && !c.t.Failed() {
		got, err := afero.ReadFile(c.fs, "/"+c.name)
		if older == "" && err == nil || older != "" && string(got) != older {
			c.t.Errorf("%s: %d bytes of an interrupted upload have the final name", c.name, len(got))
			return
		}
	}
	if got, err := afero.ReadFile(c.fs, "/"+c.name); err != nil || sum(got) != sum(content) {
		c.t.Errorf("%s was stored with %d bytes of %d (%v), hash %s, want %s", c.name, len(got), len(content), err, sum(got), sum(content))
	}
	var got []byte
	for whole := false; !whole && !c.t.Failed(); {
		got, whole = c.download(got, len(content))
	}
	if sum(got) != sum(content) {
		c.t.Errorf("%s came back with %d bytes of %d, hash %s, want %s", c.name, len(got), len(content), sum(got), sum(content))
	}
}

// cutNow reports whether to interrupt once more.
func (c *cutter) cutNow() bool { return c.r.IntN(4) > 0 && c.left.Add(-1) >= 0 }

// login returns a session and a function that ends it, because cutters make many.
func (c *cutter) login() (ctl *ctl, done func()) {
	ctl = c.s.login(c.t, "rw")
	return ctl, func() { _ = ctl.Close() }
}

func (c *cutter) begin(ctl *ctl, cmd string) *net.TCPConn {
	open := ctl.opening([]string{"EPSV", "PASV", "EPRT", "PORT"}[c.r.IntN(4)])
	ctl.send(cmd)
	d := open()
	ctl.want(150)
	_ = d.SetDeadline(time.Now().Add(patience))
	return d
}

// upload sends what the server does not have yet. It reports true if it has sent all of it.
func (c *cutter) upload(content []byte, older string) bool {
	ctl, done := c.login()
	defer done()
	await(c.t, func() bool { return !c.comesIn() }) // an interrupted session may still be writing
	from, cmd := 0, "STOR "
	if kept, err := afero.ReadFile(c.fs, c.kept()); err == nil {
		if string(kept) != string(content[:len(kept)]) {
			c.t.Errorf("%s: the %d bytes that are kept are not the beginning of the file", c.name, len(kept))
		}
		from = c.r.IntN(len(kept) + 1)
		if older == "" {
			if from == len(kept) && c.r.IntN(2) == 0 {
				cmd = "APPE "
			}
			if n := ctl.cmd("SIZE "+c.name, 213).Text(); n != strconv.Itoa(len(kept)) {
				c.t.Errorf("%s: SIZE %s, but %d bytes are kept", c.name, n, len(kept))
			}
		}
	}
	if from > 0 && cmd == "STOR " {
		ctl.cmd(fmt.Sprint("REST ", from), 350)
	}
	d := c.begin(ctl, cmd+c.name)
	defer d.Close()
	to := len(content)
	whole := !c.cutNow()
	if !whole {
		to = from + c.r.IntN(len(content)-from+1)
	}
	if _, err := d.Write(content[from:to]); err != nil {
		c.t.Errorf("%s: %v", c.name, err)
	}
	switch {
	case whole:
		_ = d.Close()
		ctl.want(226)
	case c.r.IntN(2) == 0: // the data connection breaks
		c.reset(d)
		ctl.want(426)
	default: // the client is killed
		c.hangUp(ctl)
		c.either(d)
	}
	return whole
}

// comesIn reports whether the server is receiving an upload of the file.
func (c *cutter) comesIn() bool {
	infos, _ := afero.ReadDir(c.fs, "/")
	for _, fi := range infos {
		if base, running, ok := server.ParsePartial(fi.Name()); ok && running && base == c.name {
			return true
		}
	}
	return false
}

// kept returns the hidden name of the interrupted upload of the file.
func (c *cutter) kept() string {
	target, err := c.fs.Stat("/" + c.name)
	if err != nil {
		target = nil
	}
	return "/" + server.PartialName(c.name, "rw", target, 0)
}

// download gets the missing rest of a file, or a part of it.
func (c *cutter) download(got []byte, size int) (_ []byte, whole bool) {
	ctl, done := c.login()
	defer done()
	if len(got) > 0 {
		ctl.cmd(fmt.Sprint("REST ", len(got)), 350)
	}
	d := c.begin(ctl, "RETR "+c.name)
	defer d.Close()
	if !c.cutNow() {
		b, err := io.ReadAll(d)
		if err != nil {
			c.t.Errorf("%s: %v", c.name, err)
		}
		_ = d.Close()
		ctl.want(226)
		return append(got, b...), true
	}
	b := make([]byte, c.r.IntN(size-len(got)+1))
	if _, err := io.ReadFull(d, b); err != nil {
		c.t.Errorf("%s: %v", c.name, err)
	}
	if c.r.IntN(2) == 0 {
		c.hangUp(ctl)
		c.either(d)
		return append(got, b...), false
	}
	c.either(d)
	ctl.want(226, 426) // the server may have sent the rest before it noticed the end
	return append(got, b...), false
}

// hangUp ends the control connection in one of two ways. The server sees that before anything that follows.
func (c *cutter) hangUp(ctl *ctl) {
	if c.r.IntN(2) == 0 {
		_ = ctl.Conn.(*net.TCPConn).SetLinger(0)
	}
	_ = ctl.Close()
}

// either ends a connection in one of two ways.
func (c *cutter) either(conn net.Conn) {
	if c.r.IntN(2) == 0 {
		c.reset(conn)
	}
	_ = conn.Close()
}

func (c *cutter) reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}
