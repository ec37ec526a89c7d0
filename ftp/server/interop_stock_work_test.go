package server_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// stockTest runs the list of work for a client, in both modes and over the address families that it supports.
// make soak runs all combinations, an ordinary test each value once.
func stockTest(t *testing.T, c *stockClient) {
	program := peers.Client(t, c.program)
	s := newStock(t)
	families := []string{"IPv4"}
	if c.ipv6 {
		families = append(families, "IPv6")
	}
	for _, family := range families {
		for _, active := range []bool{false, true} {
			if c.ipv6 && active == (family == "IPv4") && !testutil.Soaking {
				continue
			}
			mode := map[bool]string{false: "passive", true: "active"}[active]
			t.Run(family+" "+mode, func(t *testing.T) {
				t.Parallel()
				open := func() *desk { return s.open(t, program, family, active) }
				c.sizes(open())
				c.names(open())
				c.resumes(open())
				c.manages(open())
				c.anonymous(open())
				if c.keepTime != nil {
					c.times(open())
				}
				if c.more != nil {
					c.more(t, open)
				}
			})
		}
	}
	bucketTest(t, c)
}

// bucketTest runs the part of the list that does not depend on hidden names over a bucket. make soak runs each client
// in both modes, an ordinary test half of them in each.
func bucketTest(t *testing.T, c *stockClient) {
	program := peers.Client(t, c.program)
	for _, active := range []bool{false, true} {
		if active == (len(c.program)%2 == 0) && !testutil.Soaking {
			continue
		}
		t.Run(map[bool]string{false: "bucket passive", true: "bucket active"}[active], func(t *testing.T) {
			fsys, dir := openBucket(t)
			s := newStockOver(t, fsys, dir)
			open := func() *desk { return s.open(t, program, "IPv4", active) }
			c.sizes(open())
			c.names(open())
			c.manages(open())
			c.anonymous(open())
			if c.keepTime != nil {
				c.times(open())
			}
			c.resumesParts(open())
		})
	}
}

var soFar = regexp.MustCompile(`: (\d+) bytes so far`)

// resumesParts resumes an upload that was interrupted just before, at and after the end of a part.
func (c *stockClient) resumesParts(d *desk) {
	if !c.has("reput") {
		return
	}
	whole := noise()[:2*bucketPart+100]
	for _, cut := range []int{bucketPart - 1, bucketPart, bucketPart + 1, 2 * bucketPart} {
		name := fmt.Sprint("up", cut)
		conn := d.login(d.t, "rw")
		conn.cmd("TYPE I", 200)
		data := conn.starts("STOR " + d.path(name))
		_, err := data.Write(whole[:cut])
		check(d.t, err)
		eventually(d.t, name+" arrives", func() bool { // the last bytes are not shown at once
			m := soFar.FindStringSubmatch(strings.Join(conn.cmd("STAT", 211).Lines, "\n"))
			if m == nil {
				return false
			}
			n, _ := strconv.Atoi(m[1])
			return n > cut-1<<20
		})
		check(d.t, conn.Close())
		check(d.t, data.Close())
		eventually(d.t, name+" is kept", func() bool { return d.keptSize(d.path(name)) > 0 })
		d.gone(name)
		d.file(d.local(name), whole)
		c.run(d, step{"reput", name, d.path(name)})
		d.same("reput", d.local(name), d.far(name))
		if done, _ := d.last(d.path(name)); done.Offset > int64(cut) || cut >= bucketPart && done.Offset == 0 {
			d.t.Errorf("an upload that was cut at %d was resumed at %d", cut, done.Offset)
		}
	}
}

func (c *stockClient) has(verbs ...string) bool {
	for _, v := range verbs {
		if !slices.Contains(strings.Fields(c.can), v) {
			return false
		}
	}
	return true
}

// sizes transfers files of several sizes to the server and back, and checks that they used the requested mode.
func (c *stockClient) sizes(d *desk) {
	want := map[bool]ftp.DataMode{false: ftp.Passive, true: ftp.Active}[d.active]
	moved := func(verb, path string, size int) {
		d.t.Helper()
		if done, ok := d.last(path); !ok || done.Mode != want || done.Bytes != int64(size) || done.Verb != verb {
			d.t.Errorf("the last transfer of %s was %+v, want %s, %v", path, done, verb, want)
		}
	}
	sizes := []int{0, 1, 64 << 10, len(noise())}
	if d.host == "::1" {
		sizes[3] = 4 << 20 // the family does not matter for the bytes
	}
	for _, size := range sizes {
		name := fmt.Sprintf("%d bytes", size)
		file := d.local("file")
		if !c.has("put") {
			file = d.far(name)
		}
		if size == len(noise()) && strings.HasPrefix(file, d.here) {
			check(d.t, os.Link(d.noise, file))
		} else {
			d.file(file, noise()[:size])
		}
		if c.has("put") {
			c.run(d, step{"put", "file", d.path(name)})
			d.holds("put "+name, d.far(name), noise()[:size])
			moved("STOR", d.path(name), size)
		}
		c.run(d, step{"get", d.path(name), "back"})
		d.holds("get "+name, d.local("back"), noise()[:size])
		moved("RETR", d.path(name), size)
		for _, f := range []string{d.local("file"), d.local("back")} {
			_ = os.Remove(f)
		}
		check(d.t, d.fsys.Remove(d.path(name)))
	}
}

// noise is the content of all files, as long as the largest.
var noise = sync.OnceValue(func() []byte { return random(times(24<<20, 64<<20)) })

// names transfers files with odd names in both directions and lists them.
func (c *stockClient) names(d *desk) {
	var puts, gets []step
	var names []string
	for _, name := range stockNames {
		if c.stumbles != "" && slices.Contains(strings.Split(c.stumbles, "\n"), name) {
			continue
		}
		names = append(names, name)
		d.file(d.local("out/"+name), []byte("this is "+name))
		puts = append(puts, step{"put", "out/" + name, d.path(name)})
		gets = append(gets, step{"get", d.path(name), "in/" + name})
	}
	check(d.t, os.Mkdir(d.local("in"), 0o755))
	if c.has("put") {
		c.run(d, puts...)
	} else {
		for _, name := range names {
			d.file(d.far(name), []byte("this is "+name))
		}
	}
	c.run(d, gets...)
	for _, name := range names {
		d.same("put "+name, d.local("out/"+name), d.far(name))
		d.same("get "+name, d.local("in/"+name), d.far(name))
	}
	for _, verb := range []string{"ls", "nlst", "mlsd"} {
		if !c.has(verb) {
			continue
		}
		listing := c.run(d, step{verb, d.there, ""})
		for _, name := range names {
			if !strings.Contains(listing, name) {
				d.t.Errorf("%s does not show %q:\n%s", verb, name, listing)
			}
		}
	}
}

// resumes resumes transfers that were interrupted half-way.
func (c *stockClient) resumes(d *desk) {
	whole := noise()[:1<<20]
	half := whole[:len(whole)/2]
	if c.has("reget") {
		d.file(d.far("down"), whole)
		d.file(d.local("down"), half)
		c.run(d, step{"reget", d.path("down"), "down"})
		d.same("reget", d.local("down"), d.far("down"))
		if done, _ := d.last(d.path("down")); done.Offset != int64(len(half)) {
			d.t.Errorf("reget started at %d, want %d", done.Offset, len(half))
		}
	}
	if c.has("reput") {
		d.cut("up", half)
		d.file(d.local("up"), whole)
		c.run(d, step{"reput", "up", d.path("up")})
		d.same("reput", d.local("up"), d.far("up"))
		if done, _ := d.last(d.path("up")); done.Offset != int64(len(half)) {
			d.t.Errorf("reput started at %d, want %d (%+v)", done.Offset, len(half), done)
		}
		d.gone(server.Hidden(".up.upload"))
	}
}

// cut uploads the beginning of a file and hangs up.
func (d *desk) cut(name string, beginning []byte) {
	d.t.Helper()
	c := d.login(d.t, "rw")
	data := c.starts("STOR " + d.path(name))
	_, err := data.Write(beginning)
	check(d.t, err)
	d.arrived(name, int64(len(beginning)))
	check(d.t, c.Close())
	d.kept(name) // before the data connection ends: either may be seen first
	check(d.t, data.Close())
}

// arrived waits until that much of an upload is on the server.
func (d *desk) arrived(name string, size int64) {
	d.t.Helper()
	eventually(d.t, name+" arrives", func() bool {
		found, _ := filepath.Glob(d.dir + d.there + "/." + name + ".*.upload")
		for _, f := range found {
			if _, running, ok := server.ParsePartial(filepath.Base(f)); ok && running {
				fi, err := os.Stat(f)
				return err == nil && fi.Size() >= size
			}
		}
		return false
	})
}

// kept waits until an interrupted upload has its interrupted name.
func (d *desk) kept(name string) {
	d.t.Helper()
	eventually(d.t, name+" is kept", func() bool { _, err := os.Stat(d.far(server.Hidden("." + name + ".upload"))); return err == nil })
	d.gone(name)
}

// killed uploads from a pipe with that command, kills the client in the middle, and resumes with the step.
// Which of its connections the system closes first is random. For an upload that took a while, the server
// usually recognizes the kill in both cases.
func (c *stockClient) killed(d *desk, program string, args ...string) {
	d.t.Helper()
	whole := noise()[:3<<20]
	d.file(d.local("killed"), whole)
	for range 4 {
		d.kill(whole[:1<<20], program, args...)
		if _, err := os.Stat(d.far("killed")); err == nil {
			check(d.t, os.Remove(d.far("killed")))
			continue
		}
		c.run(d, step{"reput", "killed", d.path("killed")})
		d.same("reput of what was killed", d.local("killed"), d.far("killed"))
		if done, _ := d.last(d.path("killed")); done.Offset == 0 {
			d.t.Errorf("reput of a killed upload started from the beginning: %+v", done)
		}
		return
	}
	d.t.Error("each time the bytes before the kill were treated as the whole file")
}

// kill starts a client, kills it some time after the first bytes have arrived, and waits until the server has
// noticed.
func (d *desk) kill(beginning []byte, program string, args ...string) {
	d.t.Helper()
	cmd, cancel := d.command(program, args...)
	defer cancel()
	stdin, err := cmd.StdinPipe()
	check(d.t, err)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	check(d.t, cmd.Start())
	_, err = stdin.Write(beginning)
	if err != nil {
		_ = cmd.Wait()
		d.t.Fatalf("%s %q: %v\n%s", program, args, err, out.String())
	}
	d.arrived("killed", 1)
	<-time.After(400 * time.Millisecond) // an upload that takes a while
	check(d.t, cmd.Process.Kill())
	_ = cmd.Wait()
	eventually(d.t, "the server sees that the client is gone", func() bool {
		for _, name := range []string{"killed", server.Hidden(".killed.upload")} {
			if _, err := os.Stat(d.far(name)); err == nil {
				return true
			}
		}
		return false
	})
}

// manages makes and removes directories, and renames and deletes files.
func (c *stockClient) manages(d *desk) {
	if !c.has("mkdir", "mv", "rm", "rmdir") {
		return
	}
	for _, name := range []string{"dir", `a "dir" [x]`, "漢字 dir"} {
		d.file(d.far("old"), []byte("content"))
		c.run(d, step{"mkdir", d.path(name), ""}, step{"mv", d.path("old"), d.path(name + "/new")})
		if b, err := os.ReadFile(d.far(name + "/new")); err != nil || string(b) != "content" {
			d.t.Errorf("after mkdir %q and mv: %q, %v", name, b, err)
		}
		d.gone("old")
		c.run(d, step{"rm", d.path(name + "/new"), ""}, step{"rmdir", d.path(name), ""})
		d.gone(name+"/new", name)
	}
}

// anonymous may read, and may not write.
func (c *stockClient) anonymous(d *desk) {
	d.user = "anonymous"
	d.file(d.far("public"), []byte("for all"))
	c.run(d, step{"get", d.path("public"), "public"})
	d.same("anonymous get", d.local("public"), d.far("public"))
	if c.has("ls") {
		if listing := c.run(d, step{"ls", d.there, ""}); !strings.Contains(listing, "public") {
			d.t.Errorf("anonymous ls: %s", listing)
		}
	}
	d.mayFail = true
	if c.has("put", "mkdir", "rm") {
		c.run(d, step{"put", "public", d.path("put")}, step{"mkdir", d.path("made"), ""}, step{"rm", d.path("public"), ""})
		c.run(d, step{"mkdir", d.path("made"), ""})
		c.run(d, step{"rm", d.path("public"), ""})
	}
	if left, err := os.ReadDir(d.far("")); err != nil || len(left) != 1 || left[0].Name() != "public" {
		d.t.Errorf("after anonymous tried to write: %v, %v", left, err)
	}
}

// times fetches a file with its modification time.
func (c *stockClient) times(d *desk) {
	at := time.Now().AddDate(0, -1, 0).Truncate(time.Minute) // some clients have no seconds
	d.file(d.far("dated"), []byte("x"))
	check(d.t, d.fsys.Chtimes(d.path("dated"), at, at))
	c.keepTime(d, d.path("dated"), "dated")
	if fi, err := os.Stat(d.local("dated")); err != nil || !fi.ModTime().Equal(at) {
		d.t.Errorf("fetched with the time %v, want %v: %v", fi, at, err)
	}
}
