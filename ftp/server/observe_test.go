package server_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// story collects the events of an Observer in short form.
type story struct {
	mu    sync.Mutex
	lines []string
}

func (s *story) Observe(e ftp.Event) {
	line := fmt.Sprintf("%T", e.What)[len("ftp."):]
	switch w := e.What.(type) {
	case ftp.CommandGiven:
		line = w.Command.String()
	case ftp.ReplyGiven:
		line = fmt.Sprintf("%s %d", w.Verb, w.Reply.Code)
	case ftp.TransferDone:
		line = fmt.Sprintf("done %s %s %v %v %d+%d ok=%v", w.Verb, w.Path, w.Direction, w.Mode, w.Offset, w.Bytes, w.Err == nil)
	case ftp.DataOffered:
		line = fmt.Sprintf("offered %v %v %s", w.Mode, w.Stance, w.Said)
	case ftp.DataOpened:
		line = fmt.Sprintf("opened %v %v", w.Mode, w.Stance)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
}

func (s *story) has(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.lines, line)
}

// The Observer gets all events, in order, and no secret.
func TestObserver(t *testing.T) {
	events := &story{}
	s := serve(t, oneFile(t, "0123456789"), func(o *server.Options) { o.Observer = events })
	c := s.connect(t)
	c.cmd("USER rw", 331)
	c.cmd("PASS rw", 230)
	c.cmd("TYPE I", 200)
	c.cmd("REST 4", 350)
	c.transfer("EPSV", "RETR f", nil)
	c.transfer("PORT", "STOR g", []byte("abc"))
	d := c.starts("STOR h")
	c.send("ABOR")
	c.want(426)
	c.want(226)
	_ = d.Close()
	c.cmd("QUIT", 221)
	c.closed()
	await(t, func() bool { return events.has("ControlClosed") })
	got := strings.Join(events.lines, "\n")
	want := `ControlOpened
 220
USER rw
USER 331
PASS ****
LoggedInAs
PASS 230
TYPE I
TYPE 200
REST 4
REST 350
EPSV
offered passive listens 229
EPSV 229
RETR f
opened passive listens
RETR 150
done RETR /f retrieve passive 4+6 ok=true
RETR 226
PORT *
offered active dials PORT
PORT 200
STOR g
opened active dials
STOR 150
done STOR /g store active 0+3 ok=true
STOR 226
EPSV
offered passive listens 229
EPSV 229
STOR h
opened passive listens
STOR 150
done STOR /h store passive 0+0 ok=false
STOR 426
ABOR
ABOR 226
QUIT
QUIT 221
ControlClosed`
	for i, line := range events.lines {
		if strings.HasPrefix(line, "PORT 127") {
			got = strings.Replace(got, events.lines[i], "PORT *", 1)
		}
	}
	if got != want {
		t.Errorf("events:\n%s\nwant:\n%s", got, want)
	}
}

// Every session is reported as closed once, however it has ended.
func TestObserverSeesEveryEnd(t *testing.T) {
	events := &story{}
	s := serve(t, fsroot.NewMem(), func(o *server.Options) { o.Observer = events })
	check(t, s.connect(t).Close())
	s.login(t, "rw").cmd("QUIT", 221)
	c := s.login(t, "rw")
	d := c.starts("STOR f")
	check(t, c.Close())
	_ = d.Close()
	s.login(t, "rw")
	check(t, s.Close())
	opened, closed := 0, 0
	for _, l := range events.lines {
		switch l {
		case "ControlOpened":
			opened++
		case "ControlClosed":
			closed++
		}
	}
	if opened != 4 || closed != 4 {
		t.Errorf("%d opened, %d closed", opened, closed)
	}
	if !events.has("done STOR /f store passive 0+0 ok=false") {
		t.Errorf("the interrupted upload was not reported:\n%s", strings.Join(events.lines, "\n"))
	}
}
