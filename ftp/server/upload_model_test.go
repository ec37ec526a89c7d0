package server_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// This file contains a model of what uploads leave, and runs the server in step with it: A uploads /f, B does
// something to it at some moment of the upload, and then A's upload ends in some way. For every moment and
// every end the tree, A's replies and what A can resume must be those of the model.

// modelFile is a file of the model. As on a disk, several names can lead to it.
type modelFile struct {
	content string
	link    bool // a link to another file, which has the content
}

// uploadWorld is the state of the model.
type uploadWorld struct {
	names map[string]*modelFile // nil: a directory
	part  *modelFile            // A's partial upload, or nil

	way   uploadWay
	had   *modelFile // the file that A has found
	held  string     // its content
	own   *modelFile // the file that A writes to
	begun bool       // the data connection is open
	made  bool       // A has created the file in place, and B has not opened it
}

// uploadWay is a way to upload /f.
type uploadWay struct {
	cmd     string
	user    string
	old     string // content of /f before; "": it does not exist
	part    string // what A has sent of it in an interrupted upload
	rest    int
	inPlace bool // with Options.UploadInPlace
}

var uploadWays = map[string]uploadWay{
	"STOR new":           {cmd: "STOR f", user: "rw"},
	"STOR old":           {cmd: "STOR f", user: "rw", old: "old content"},
	"APPE new":           {cmd: "APPE f", user: "rw"},
	"APPE old":           {cmd: "APPE f", user: "rw", old: "old content"},
	"REST in a file":     {cmd: "STOR f", user: "rw", old: "old content", rest: 3},
	"REST in a part":     {cmd: "STOR f", user: "rw", part: "part", rest: 4},
	"STOU":               {cmd: "STOU f", user: "rw"},
	"STOR new, in place": {cmd: "STOR f", user: "rw", inPlace: true},
	"STOR old, in place": {cmd: "STOR f", user: "rw", old: "old content", inPlace: true},
	"drop":               {cmd: "STOR f", user: "drop"},
	"drop, REST":         {cmd: "STOR f", user: "drop", part: "part", rest: 4},
}

const half = "AAAAAAAAAA"

func (w uploadWay) appends() bool    { return strings.HasPrefix(w.cmd, "APPE") }
func (w uploadWay) unique() bool     { return strings.HasPrefix(w.cmd, "STOU") }
func (w uploadWay) overwrites() bool { return w.user == "rw" }

// hidden reports whether the bytes go to a file with a hidden name.
func (w uploadWay) hidden() bool {
	return !w.inPlace && (w.old == "" || !w.appends() && w.rest == 0)
}

func newUploadWorld(w uploadWay) *uploadWorld {
	m := &uploadWorld{names: map[string]*modelFile{"other": {content: "another file"}}, way: w}
	if w.old != "" {
		m.names["f"] = &modelFile{content: w.old}
	}
	if w.part != "" {
		m.part = &modelFile{content: w.part}
	}
	return m
}

// open models A's command.
func (m *uploadWorld) open() {
	m.had = m.names["f"]
	if m.had != nil {
		m.held = m.had.content
	}
	switch {
	case m.way.hidden():
		if m.part == nil {
			m.part = &modelFile{}
		}
		m.own = m.part
	case m.had == nil:
		m.own, m.made = &modelFile{}, true
		m.names["f"] = m.own
	default:
		m.own = m.had
	}
}

// begin models the opening of A's data connection. It reports whether that is refused.
func (m *uploadWorld) begin() {
	m.begun = true
	if m.way.inPlace || m.way.hidden() && m.way.rest == 0 {
		m.own.content = ""
	}
}

// receive models bytes of A's upload, which are written at their offset or appended.
func (m *uploadWorld) receive(at int, b string) {
	c := m.own.content
	if m.way.appends() {
		m.own.content = c + b
		return
	}
	at += m.way.rest
	m.own.content = c[:at] + b + c[min(len(c), at+len(b)):]
}

// finish models the end of a whole upload and returns the code of the reply.
func (m *uploadWorld) finish() ftp.Code {
	now, there := m.names["f"]
	switch {
	case !m.way.hidden() && (!there || now != m.own):
		return 450
	case !m.way.hidden():
		return 226
	case there && now == nil, there && (now.link || m.way.unique() || !m.way.overwrites()):
		m.leaveIncomplete()
		return 550
	case there && m.way.appends(): // an append replaces nothing
		m.leaveIncomplete()
		return 450
	}
	m.names["f"] = m.own
	m.part = nil
	return 226
}

// leaveIncomplete models what is kept of a whole upload that can't get its name: all but its last byte.
func (m *uploadWorld) leaveIncomplete() {
	if n := len(m.own.content); n > 0 {
		m.own.content = m.own.content[:n-1]
	}
}

// interrupt models any other end of an upload.
func (m *uploadWorld) interrupt(diskFull bool) {
	now, there := m.names["f"]
	size := len(m.own.content)
	if m.way.hidden() {
		if size == 0 || diskFull || m.way.unique() {
			m.part = nil
		}
		return
	}
	if m.made && there && now == m.own && (size == 0 || diskFull) {
		delete(m.names, "f")
	}
}

// resumable reports whether A can resume the interrupted upload.
func (m *uploadWorld) resumable() bool {
	now, there := m.names["f"]
	return m.part != nil && now == m.had && there == (m.had != nil) && (now == nil || now.content == m.held)
}

// An uploadEvent is something that B does. It returns the code of B's last reply.
type uploadEvent struct {
	name string
	do   func(b *ctl) ftp.Code
	want func(m *uploadWorld) ftp.Code // does the same in the model and returns its code
}

var uploadEvents = []uploadEvent{
	{"nothing", func(*ctl) ftp.Code { return 0 }, func(*uploadWorld) ftp.Code { return 0 }},
	{"store", func(b *ctl) ftp.Code { return b.try("STOR f", "from B") }, func(m *uploadWorld) ftp.Code {
		f, there := m.names["f"]
		switch {
		case m.way.unique():
			return 450 // the name is reserved for A
		case there && f == m.own && m.way.inPlace && m.begun:
			return 450
		case there && m.way.inPlace:
			f.content, m.made = "from B", false
		default:
			m.names["f"] = &modelFile{content: "from B"}
		}
		return 226
	}},
	{"append", func(b *ctl) ftp.Code { return b.try("APPE f", "from B") }, func(m *uploadWorld) ftp.Code {
		f, there := m.names["f"]
		switch {
		case m.way.unique():
			return 450
		case there && f == m.own && m.begun && !m.way.appends():
			return 450
		case there:
			f.content += "from B"
			m.made = m.made && f != m.own
		default:
			m.names["f"] = &modelFile{content: "from B"}
		}
		return 226
	}},
	{"delete", func(b *ctl) ftp.Code { return b.cmd("DELE f").Code }, func(m *uploadWorld) ftp.Code {
		if _, there := m.names["f"]; !there {
			return 550
		}
		delete(m.names, "f")
		return 250
	}},
	{"rename away", func(b *ctl) ftp.Code {
		if r := b.cmd("RNFR f"); r.Code != 350 {
			return r.Code
		}
		return b.cmd("RNTO g").Code
	}, func(m *uploadWorld) ftp.Code {
		f, there := m.names["f"]
		if !there {
			return 550
		}
		delete(m.names, "f")
		m.names["g"] = f
		return 250
	}},
	{"rename over", func(b *ctl) ftp.Code {
		b.cmd("RNFR other", 350)
		return b.cmd("RNTO f").Code
	}, func(m *uploadWorld) ftp.Code {
		m.names["f"] = m.names["other"]
		delete(m.names, "other")
		return 250
	}},
	{"make a directory", func(b *ctl) ftp.Code { return b.cmd("MKD f").Code }, func(m *uploadWorld) ftp.Code {
		if _, there := m.names["f"]; there {
			return 550
		}
		m.names["f"] = nil
		return 257
	}},
	{"put a link there", func(b *ctl) ftp.Code {
		b.cmd("DELE f")
		return b.cmd("SITE SYMLINK other f").Code
	}, func(m *uploadWorld) ftp.Code {
		m.names["f"] = &modelFile{content: m.names["other"].content, link: true}
		return 200
	}},
}

// try is like put, with any reply.
func (c *ctl) try(line, content string) ftp.Code {
	d := c.epsv()
	defer d.Close()
	if r := c.cmd(line); r.Code != 150 {
		return r.Code
	}
	_, _ = io.WriteString(d, content)
	_ = d.Close()
	return c.reply().Code
}

// uploadMoments are the moments of A's upload at which B acts.
var uploadMoments = []string{"waiting", "open", "half", "all"}

// ends are those of A's upload.
var uploadEnds = []string{"finish", "abort", "reset", "gone", "close", "full"}

// There are more than 6,000 combinations. make soak runs all of them, an ordinary test every seventh.
func TestUploadModel(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	combination, every := 0, times(14, 1)
	for _, name := range slices.Sorted(maps.Keys(uploadWays)) {
		w := uploadWays[name]
		for _, storage := range []string{"disk", "a directory on disk", "memory", "simple"} {
			t.Run(name+" on "+storage, func(t *testing.T) {
				for _, at := range uploadMoments {
					for _, e := range uploadEvents {
						for _, end := range uploadEnds {
							switch {
							case at == "waiting" && (end == "full" || end == "reset"):
								continue // there is no data connection yet
							case at == "open" && !w.hidden() && e.name != "nothing":
								continue // nothing shows that A has begun to write
							case e.name == "put a link there" && (!strings.HasSuffix(storage, "disk") || end == "full"):
								continue // the storage has no links
							}
							if combination++; combination%every == 0 && !t.Failed() {
								t.Run(at+", "+e.name+", "+end, func(t *testing.T) { newUploadTrial(t, w, storage, end == "full").run(at, e, end) })
							}
						}
					}
				}
			})
		}
	}
}

// uploadTrial is one run of the server and the model.
type uploadTrial struct {
	*uploadWorld
	t    *testing.T
	fs   afero.Fs      // the directory of the uploads
	root afero.Fs      // the served tree; nil: fs
	dir  string        // the host directory, if on disk
	room *atomic.Int64 // free space; nil: unlimited
	s    *site
	port uint16        // announced to A, and not yet dialed
	gone chan struct{} // closed when A's session has ended
}

// newUploadTrial makes a storage. A simple one has only the methods of afero.Fs.
func newUploadTrial(t *testing.T, w uploadWay, storage string, bounded bool) *uploadTrial {
	tr := &uploadTrial{t: t, uploadWorld: newUploadWorld(w), fs: fsroot.NewMem()}
	switch storage {
	case "disk":
		tr.fs, tr.dir = disk(t)
	case "a directory on disk": // uploads hold it open
		tr.root, tr.dir = disk(t)
		check(t, tr.root.Mkdir("/d", 0o755))
		below, err := fsroot.OpenRoot(tr.dir + "/d")
		check(t, err)
		t.Cleanup(func() { _ = below.Close() })
		tr.fs = below
	case "simple":
		tr.fs = struct{ afero.Fs }{tr.fs}
	}
	for name, f := range tr.names {
		write(t, tr.fs, "/"+name, f.content)
	}
	if tr.part != nil {
		write(t, tr.fs, "/"+server.PartialName("f", w.user, nil, 0), tr.part.content)
	}
	if bounded {
		tr.room = new(atomic.Int64)
		tr.room.Store(1 << 20)
		tr.fs = full{tr.fs, tr.room}
		if tr.root != nil {
			tr.root = full{tr.root, tr.room}
		}
	}
	return tr
}

func (tr *uploadTrial) serve() {
	gone := make(chan struct{})
	tr.gone = gone
	root := tr.fs
	if tr.root != nil {
		root = tr.root
	}
	tr.s = serve(tr.t, root, func(o *server.Options) {
		o.UploadInPlace = tr.way.inPlace
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			if _, closed := e.What.(ftp.ControlClosed); closed && e.Control.ID == 1 {
				close(gone)
			}
		})
	})
}

// login is site.login, followed by CWD to the directory of the uploads.
func (tr *uploadTrial) login(user string) *ctl {
	c := tr.s.login(tr.t, user)
	if tr.root != nil {
		c.cmd("CWD d", 250)
	}
	return c
}

// run runs the trial.
func (tr *uploadTrial) run(at string, e uploadEvent, end string) {
	tr.serve()
	a, b := tr.login(tr.way.user), tr.login("rw")
	d := tr.to(a, at)
	if got, want := e.do(b), e.want(tr.uploadWorld); got != want {
		tr.t.Fatalf("B got %d, want %d", got, want)
	}
	tr.end(a, d, at, end)
	tr.compare()
	tr.resume()
}

// to brings A's upload to a moment. It returns the data connection, if there is one.
func (tr *uploadTrial) to(a *ctl, at string) net.Conn {
	if tr.way.rest > 0 {
		a.cmd(fmt.Sprint("REST ", tr.way.rest), 350)
	}
	if at == "waiting" {
		port, err := ftp.Parse229(a.cmd("EPSV", 229).Text())
		check(tr.t, err)
		tr.port = port
		a.send(tr.way.cmd)
		a.cmd("NOOP", 200) // answered when the file is open
		tr.open()
		return nil
	}
	d := a.starts(tr.way.cmd)
	tr.open()
	tr.begin()
	switch at {
	case "half":
		tr.send(d, 0, half)
	case "all":
		tr.send(d, 0, half+half)
	case "open":
		if tr.way.inPlace && tr.way.old != "" { // wait until it is empty
			await(tr.t, func() bool { fi, err := tr.fs.Stat("/f"); return err == nil && fi.Size() == 0 })
		}
	}
	return d
}

// send sends bytes and waits until they are in the file.
func (tr *uploadTrial) send(d net.Conn, at int, content string) {
	tr.receive(at, content)
	_, err := io.WriteString(d, content)
	check(tr.t, err)
	await(tr.t, func() bool {
		name := "/f"
		if tr.way.hidden() {
			name = tr.running()
		}
		b, err := afero.ReadFile(tr.fs, name)
		return err == nil && string(b) == tr.own.content
	})
}

// running returns the hidden file of A's upload.
func (tr *uploadTrial) running() string {
	infos, _ := afero.ReadDir(tr.fs, "/")
	for _, fi := range infos {
		if _, runs, ok := server.ParsePartial(fi.Name()); ok && runs {
			return "/" + fi.Name()
		}
	}
	return "/none"
}

// end ends A's upload.
func (tr *uploadTrial) end(a *ctl, d net.Conn, at, end string) {
	sent := map[string]int{"half": len(half), "all": 2 * len(half)}[at]
	switch end {
	case "finish":
		if d == nil {
			d = a.call(tr.port)
			a.want(150)
			tr.begin()
		}
		tr.receive(sent, (half + half)[sent:])
		_, err := io.WriteString(d, (half + half)[sent:])
		check(tr.t, err)
		check(tr.t, d.Close())
		if got, want := a.reply().Code, tr.finish(); got != want {
			tr.t.Errorf("A got %d, want %d", got, want)
		}
		return
	case "abort":
		a.send("ABOR")
		a.want(426)
		a.want(226)
	case "reset":
		check(tr.t, d.(*net.TCPConn).SetLinger(0))
		check(tr.t, d.Close())
		a.want(426)
	case "gone":
		check(tr.t, a.Close())
		if d != nil {
			check(tr.t, d.Close())
		}
		<-tr.gone
	case "close":
		check(tr.t, tr.s.Close())
	case "full":
		tr.room.Store(0)
		_, _ = io.WriteString(d, "x")
		_ = d.Close()
		a.want(452)
	}
	tr.interrupt(end == "full")
}

// compare compares the tree with the model.
func (tr *uploadTrial) compare() {
	tr.t.Helper()
	want, got := map[string]string{}, map[string]string{}
	for name, f := range tr.names {
		if want[name] = "a directory"; f != nil {
			want[name] = f.content
		}
	}
	if tr.part != nil {
		want["partial upload"] = tr.part.content
	}
	infos, err := afero.ReadDir(tr.fs, "/")
	check(tr.t, err)
	for _, fi := range infos {
		name := fi.Name()
		if base, _, ok := server.ParsePartial(name); ok && base == "f" {
			name = "partial upload"
		}
		if got[name] = "a directory"; !fi.IsDir() {
			got[name] = read(tr.t, tr.fs, "/"+fi.Name())
		}
	}
	if !maps.Equal(got, want) {
		tr.t.Errorf("the tree is\n%v\nwant\n%v", lined(got), lined(want))
	}
}

func lined(m map[string]string) string {
	var all []string
	for name, content := range m {
		all = append(all, fmt.Sprintf("  %s: %q", name, content))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// resume resumes A's upload in a new session, if the model says that this is possible.
func (tr *uploadTrial) resume() {
	if tr.part == nil || tr.t.Failed() {
		return
	}
	if tr.room != nil {
		tr.room.Store(1 << 20)
	}
	_ = tr.s.Close()
	tr.serve()
	a := tr.login(tr.way.user)
	n := len(tr.part.content)
	a.cmd(fmt.Sprint("REST ", n), 350)
	whole := tr.way.part + half + half
	got := a.try("STOR f", whole[n:])
	switch f, there := tr.names["f"]; {
	case tr.resumable():
		if got != 226 {
			tr.t.Errorf("the resumed upload was answered %d", got)
		}
		tr.names["f"], tr.part = &modelFile{content: whole}, nil
	case there && f == nil, there && !tr.way.overwrites():
		if got != 550 {
			tr.t.Errorf("a resume into the existing file was answered %d", got)
		}
	case got != 554:
		tr.t.Errorf("a resume of what is not resumable was answered %d", got)
	}
	tr.compare()
}
