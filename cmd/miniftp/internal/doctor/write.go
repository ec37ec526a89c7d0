package doctor

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// isReadRefused reports whether a server refused a listing for lack of permission.
func isReadRefused(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && (no.Verb == "MLSD" || no.Verb == "LIST") && (no.Code == 550 || no.Code == 553 || no.Code == 532)
}

// byWriting tries a way by an upload, because the account may not read. Without --write, it only marks the
// cell as unread. If the file can't be deleted, its name is recorded.
func (d *doctor) byWriting(w *wire, c *gridCell, t trial) {
	d.mu.Lock()
	if d.x.checks.readRefused == nil {
		d.x.checks.readRefused = c.err
	}
	d.mu.Unlock()
	if !d.write {
		c.state = unread
		return
	}
	name := trialName()
	t.cmd, t.noType, t.source = ftp.Command{Verb: "STOR", Arg: name}, false, strings.NewReader("miniftp!\r\n")
	c.written, c.outcome = true, w.run(t)
	if no, ok := errors.AsType[*ftp.Error](c.err); ok && no.Code.Class() == ftp.PermanentFail {
		return // no file was made
	}
	_, err := w.do("DELE", name)
	if err == nil || c.err != nil && isGone(err) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k := &d.x.checks
	k.left, k.notDeleted = append(k.left, name), err
}

// trialName returns a random name for a test file.
func trialName() string {
	return "miniftp-doctor-" + strings.ToLower(rand.Text()[:10]) + ".tmp"
}

// written is the result of the upload that --write asks for.
type written struct {
	name     string
	size     int64
	err      error // from STOR
	received int64 // the size of the file on the server; -1 if unknown
	left     error // from DELE, if the file could not be deleted
}

// upload uploads a small file under a random name, reads it back, and deletes it.
func (v *visit) upload() {
	out := &written{name: trialName(), size: 1000, received: -1}
	v.d.x.checks.write = out
	text := bytes.Repeat([]byte("miniftp!\r\n"), int(out.size)/10)
	o := v.run(trial{cmd: ftp.Command{Verb: "STOR", Arg: out.name}, source: bytes.NewReader(text)})
	var no *ftp.Error
	if out.err = o.err; errors.As(o.err, &no) && no.Code.Class() == ftp.PermanentFail {
		return // no file was made
	}
	if o.err == nil {
		back := v.run(trial{cmd: ftp.Command{Verb: "RETR", Arg: out.name}, most: wholeFile})
		if errors.As(back.err, &no) { // the user may write but not read
			if n, ok := v.size(out.name); ok {
				out.received = n
			}
		} else if out.received = int64(len(back.text)); back.err == nil && out.received == out.size && !bytes.Equal(back.text, text) {
			out.err = errors.New("the file that was read back differs from the one sent")
		}
	}
	if _, err := v.do("DELE", out.name); err != nil && (o.err == nil || !isGone(err)) {
		out.left = err
	}
}

// isGone reports whether DELE failed because the file does not exist.
func isGone(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && no.Code == 550
}

// String returns the result for people and for the JSON report.
func (o *written) String() string {
	switch {
	case o.err != nil:
		return "refused"
	case o.left != nil:
		return fmt.Sprintf("yes, and %s is left", o.name)
	}
	return "yes"
}

// triedByWriting reports whether a way was tried by an upload.
func (x *exam) triedByWriting() bool {
	return slices.ContainsFunc(x.rows, func(r *gridRow) bool {
		return slices.ContainsFunc(r.all(), func(c *gridCell) bool { return c.written })
	})
}

func seeNoReading(x *exam) []sign {
	return x.eachCell(func(r *gridRow, way int) bool { return r.cells[way].state == unread }, func(*gridCell) (string, string) {
		return "The account may not read, so no transfer could be tried: " + sentence(replyText(x.checks.readRefused)),
			"--write tries uploads of a few bytes instead."
	})
}

// seeTimeOut sees replies that did not arrive in time. That is not called a fault of the server, because
// the line may only be slow.
func seeTimeOut(x *exam) []sign {
	s := sign{do: "The server or the line is slow: --timeout 30 waits longer."}
	for _, r := range x.rows {
		if r.stage > atGreeting && r.stage < atEnd && errors.Is(r.err, client.ErrTimeout) && r.aside(x) == "" {
			s.what, s.cells = sentence(r.err.Error()), append(s.cells, r.all()...)
		}
		for way, c := range r.all() {
			if r.trouble(way) == otherTrouble && errors.Is(c.err, client.ErrTimeout) {
				s.what, s.cells = sentence(c.err.Error()), append(s.cells, c)
			}
		}
	}
	if s.cells == nil {
		return nil
	}
	s.what = strings.ToUpper(s.what[:1]) + s.what[1:]
	return []sign{s}
}
