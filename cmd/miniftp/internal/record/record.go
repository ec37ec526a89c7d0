// Package record implements --record: it writes the commands and replies of a run to a file for a bug report,
// without passwords.
//
// It depends only on events, not on what sends them.
package record

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Recorder writes the commands and replies on control connections, and the lines of listings, in the format of
// the scripts of package ftptest, so that a bug report can be replayed. Passwords are masked, and only the sizes
// of files are written. Each control connection has a file of its own: FILE, FILE.2, FILE.3 …
//
// A Recorder is an ftp.Observer, safe for concurrent use.
type Recorder struct {
	e    *verb.Env
	name string

	mu    sync.Mutex
	talks map[uint64]*recording
	count int
}

// recording is the recording of one control connection.
type recording struct {
	f      *os.File
	busy   string   // the running transfer command
	begun  bool     // the server has sent a preliminary reply to it
	moved  int64    // bytes of the transfer; -1 if there was no data connection
	late   []string // lines that wait for the end of the data
	listed strings.Builder
	failed bool // a write failed, which has been reported
}

// New returns a Recorder that writes to the named file, which it creates.
func New(e *verb.Env, name string) (*Recorder, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return nil, verb.LocalProblem(name, err)
	}
	return &Recorder{e: e, name: name, talks: map[uint64]*recording{}}, nil
}

// Observe records e.
func (r *Recorder) Observe(e ftp.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.talks[e.Control.ID]
	switch h := e.What.(type) {
	case ftp.ControlOpened:
		r.begin(e)
		return
	case ftp.ControlClosed:
		if t != nil {
			r.end(t, h)
			delete(r.talks, e.Control.ID)
		}
		return
	}
	if t == nil || t.f == nil {
		return
	}
	switch h := e.What.(type) {
	case ftp.CommandGiven:
		r.command(t, h.Command)
	case ftp.ReplyGiven:
		r.reply(t, h)
	case ftp.DataOffered:
		if h.Said == "227" && h.Addr.Addr() != e.Control.Remote.Addr() {
			r.write(t, "# the 227 announced "+h.Addr.Addr().String())
		}
	case ftp.DataOpened:
		t.moved = 0
	case ftp.DataFailed:
		var no *ftp.Error
		if errors.As(h.Err, &no) && no.Code/10 != 42 {
			return // the server refused the transfer, so the data connection was not to blame
		}
		t.late = append(t.late, "# no data connection: "+oneLine(h.Err.Error()))
	case ftp.ControlSecured:
		r.write(t, "# "+h.TLS.Version+", "+h.TLS.Suite)
	case ftp.Listed:
		fmt.Fprintf(&t.listed, "D: %s\\r\\n\n", quoted(h.Line))
	case ftp.TransferDone:
		t.busy, t.moved = "", max(t.moved, h.Bytes)
	}
}

func (r *Recorder) begin(e ftp.Event) {
	r.count++
	name := r.name
	if r.count > 1 {
		name += "." + strconv.Itoa(r.count)
	}
	t := &recording{moved: -1}
	r.talks[e.Control.ID] = t
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		r.e.Note("%v", verb.LocalProblem(name, err))
		return
	}
	t.f = f
	r.write(t, fmt.Sprintf("# miniftp %s with the server at %v, %s", verb.Version(), e.Control.Remote, e.At.UTC().Format("2006-01-02 15:04:05 UTC")))
}

func (r *Recorder) end(t *recording, h ftp.ControlClosed) {
	if t.f == nil {
		return
	}
	r.flush(t)
	if h.Err != nil {
		r.write(t, "# the control connection ended: "+oneLine(h.Err.Error()))
	}
	if err := t.f.Close(); err != nil && !t.failed {
		r.e.Note("%v", verb.LocalProblem(t.f.Name(), err))
	}
}

func (r *Recorder) write(t *recording, lines ...string) {
	if len(lines) == 0 {
		return
	}
	_, err := t.f.WriteString(strings.Join(lines, "\n") + "\n")
	if err != nil && !t.failed {
		t.failed = true
		r.e.Note("%v", verb.LocalProblem(t.f.Name(), err))
	}
}

func (r *Recorder) command(t *recording, c ftp.Command) {
	line := c.String()
	if t.busy == "" {
		r.flush(t)
	}
	switch {
	case ftp.IsTransfer(c.Verb):
		t.busy, t.begun, t.moved = c.Verb, false, -1
	case c.Verb == "PORT":
		line = "PORT {addr}"
	case c.Verb == "EPRT":
		if a, err := ftp.ParseEPRT(c.Arg); err == nil {
			line = strings.Replace(line, fmt.Sprintf("|%d|", a.Port()), "|{port}|", 1)
		}
	case strings.Contains(line, "****"): // a masked secret: the script is to accept any argument
		line = c.Verb + " …"
	}
	out := "C: " + oneLine(line)
	if t.busy != "" && !ftp.IsTransfer(c.Verb) { // ABOR, NOOP
		t.late = append(t.late, out)
		return
	}
	r.write(t, out)
}

var sixNumbers = regexp.MustCompile(`\d+(\s*,\s*\d+){5}`)

func (r *Recorder) reply(t *recording, h ftp.ReplyGiven) {
	if t.busy != "" && h.Reply.Code.Class() == ftp.Preliminary {
		t.begun = true
	}
	var all []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(h.Reply.Append(nil)), "\r\n"), "\r\n") {
		all = append(all, "S: "+oneLine(line))
	}
	last := &all[len(all)-1]
	if port, err := ftp.Parse229(h.Reply.Text()); h.Reply.Code == 229 && err == nil {
		*last = strings.Replace(*last, strconv.Itoa(int(port)), "{port}", 1)
	}
	if h.Reply.Code == 227 {
		*last = sixNumbers.ReplaceAllString(*last, "{addr}")
	}
	if (t.busy != "" || t.moved >= 0) && h.Reply.Code.Class() != ftp.Preliminary {
		t.late = append(t.late, all...)
		return
	}
	r.write(t, all...)
}

// flush writes the data of a transfer and the lines that waited for it. They wait because events may arrive in
// another order than the script needs: data may end after the final reply, and the last line of a listing is
// reported after both.
func (r *Recorder) flush(t *recording) {
	switch {
	case t.listed.Len() > 0:
		r.write(t, strings.TrimSuffix(t.listed.String(), "\n"))
	case t.begun && t.moved >= 0:
		r.write(t, fmt.Sprintf("B: %d", t.moved))
	}
	r.write(t, t.late...)
	t.late, t.moved = nil, -1
	t.listed.Reset()
}

// oneLine returns s without line breaks and other control characters, for a line of a script.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' {
			return ' '
		}
		return r
	}, s)
}

// quoted returns s as in a Go string literal, without the quotes.
func quoted(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
