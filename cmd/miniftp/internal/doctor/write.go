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

// isNoReading reports whether a server refused a listing for lack of permission.
func isNoReading(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && (no.Verb == "MLSD" || no.Verb == "LIST") && (no.Code == 550 || no.Code == 553 || no.Code == 532)
}

// byWriting tries a way by an upload, as the account may not read; without --write, the way
// stays untried. The file is deleted, or noted as left behind.
func (d *doctor) byWriting(w *wire, c *gridCell, e errand) {
	d.mu.Lock()
	if d.x.checks.noReading == nil {
		d.x.checks.noReading = c.err
	}
	d.mu.Unlock()
	if !d.write {
		c.state = unread
		return
	}
	name := trialName()
	e.cmd, e.plain, e.source = ftp.Command{Verb: "STOR", Arg: name}, false, strings.NewReader("miniftp!\r\n")
	c.written, c.outcome = true, w.run(e)
	if no, ok := errors.AsType[*ftp.Error](c.err); ok && no.Code.Class() == ftp.PermanentFail {
		return // there is no file
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

// trialName is the name of a file that nobody has.
func trialName() string {
	return "miniftp-doctor-" + strings.ToLower(rand.Text()[:10]) + ".tmp"
}

// written is what came of an upload.
type written struct {
	name string
	size int64
	err  error // of STOR
	came int64 // the size that the server says; -1 if it doesn't
	left error // of DELE
}

// upload puts a small file under a name that nobody has, and takes it away.
func (v *visit) upload() {
	out := &written{name: trialName(), size: 1000, came: -1}
	v.d.x.checks.write = out
	text := bytes.Repeat([]byte("miniftp!\r\n"), int(out.size)/10)
	o := v.run(errand{cmd: ftp.Command{Verb: "STOR", Arg: out.name}, source: bytes.NewReader(text)})
	var no *ftp.Error
	if out.err = o.err; errors.As(o.err, &no) && no.Code.Class() == ftp.PermanentFail {
		return // there is no file
	}
	if o.err == nil {
		back := v.run(errand{cmd: ftp.Command{Verb: "RETR", Arg: out.name}, most: wholeFile})
		if errors.As(back.err, &no) { // one may write there, and not read
			if n, ok := v.size(out.name); ok {
				out.came = n
			}
		} else if out.came = int64(len(back.text)); back.err == nil && out.came == out.size && !bytes.Equal(back.text, text) {
			out.err = errors.New("other bytes came back than were sent")
		}
	}
	if _, err := v.do("DELE", out.name); err != nil && (o.err == nil || !isGone(err)) {
		out.left = err
	}
}

// isGone: there was nothing to delete.
func isGone(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && no.Code == 550
}

// String says what became of the file, for people.
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
		return "The account may not read, so no way could be tried: " + sentence(replyText(x.checks.noReading)),
			"--write tries uploads instead, of a few bytes each."
	})
}

// seeTimeOut finds answers that did not come in time: the line may only be slow.
func seeTimeOut(x *exam) []sign {
	s := sign{do: "The server or the line is slow: --timeout 30 waits longer."}
	for _, r := range x.rows {
		if r.stage > atGreeting && r.stage < inside && errors.Is(r.err, client.ErrTimeout) && r.aside(x) == "" {
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
