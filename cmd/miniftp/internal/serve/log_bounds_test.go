package serve

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
)

// TestLogIsBounded: one session, or all strangers together, cause a bounded number of lines for one
// reason; the number of lines left out is logged. Each change of a file has its line.
func TestLogIsBounded(t *testing.T) {
	repeat := func(n int, what ftp.Happening) []ftp.Happening {
		all := make([]ftp.Happening, n)
		for i := range all {
			all[i] = what
		}
		return all
	}
	refused := ftp.Changed{Verb: "DELE", Path: "/x", Reply: ftp.NewReply(550, "/x: permission denied")}
	for _, tt := range []struct {
		name   string
		events []ftp.Happening
		line   string
		lines  int
		count  string
	}{
		{"a user's refused changes", repeat(1000, refused), "msg=refused", 10, `reason="DELE answered 550" more=990`},
		{"a user's refusals", repeat(1000, ftp.Refused{Why: "no", Reason: ftp.ReasonPermission, Verb: "DELE"}), "msg=refused", 10, `reason="refused DELE users.perm" more=990`},
		{"logins in one session", repeat(1000, ftp.LoggedInAs{User: "anonymous"}), `msg="logged in"`, 10, `reason="logged in" more=991`},
		{"changes", repeat(1000, ftp.Changed{Verb: "DELE", Path: "/x", Reply: ftp.NewReply(250, "")}), "msg=changed", 1000, ""},
	} {
		log, _ := logged("text", append(append([]ftp.Happening{ftp.ControlOpened{}, ftp.LoggedInAs{User: "alice"}}, tt.events...), ftp.ControlClosed{})...)
		if n := strings.Count(log, tt.line); n != tt.lines {
			t.Errorf("%s: %d lines, want %d", tt.name, n, tt.lines)
		}
		if !strings.Contains(log, tt.count) {
			t.Errorf("%s: no %s in\n%s", tt.name, tt.count, log)
		}
	}

	var strangers []ftp.Happening
	for range 1000 { // each in a session of its own
		strangers = append(strangers, ftp.ControlOpened{}, ftp.Refused{Why: "no", Reason: ftp.ReasonDenied}, ftp.ControlClosed{})
	}
	log, _ := loggedEvery(20*time.Millisecond, "text", strangers...) // events of a minute
	if n := strings.Count(log, "\n"); n > 2*linesPerMinute+10 {
		t.Errorf("strangers wrote %d lines", n)
	}
	for _, count := range []string{`reason="refused deny" more=`, `reason="session closed without a login" more=`} {
		if !strings.Contains(log, count) {
			t.Errorf("no %s in the log, which ends\n%s", count, log[max(0, len(log)-1000):])
		}
	}
}

// stuck is a writer that blocks until free is closed.
type stuck struct {
	free chan struct{}
	mu   sync.Mutex
	b    bytes.Buffer
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.free
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

// TestBlockedLog: a log whose destination blocks does not block the server. It holds a bounded number of
// bytes and reports how many lines it dropped.
func TestBlockedLog(t *testing.T) {
	w := &stuck{free: make(chan struct{})}
	q := newLogQueue()
	dropped := make(chan int, 10)
	q.onDropped = func(n int) { dropped <- n }
	to := q.to(w)
	line := strings.Repeat("x", 999) + "\n"
	const lines = 10_000
	for range lines {
		_, err := io.WriteString(to, line)
		if err != nil {
			t.Fatal(err)
		}
	}
	q.mu.Lock()
	held := q.bytes
	q.mu.Unlock()
	if held > logQueueBytes {
		t.Errorf("the queue holds %d bytes, more than %d", held, logQueueBytes)
	}
	close(w.free)
	n := <-dropped
	q.close()
	if got := strings.Count(w.b.String(), "\n"); got+n != lines || got == 0 {
		t.Errorf("of %d lines, %d were written and %d dropped", lines, got, n)
	}
}

// TestLogQueueEnds: close does not wait forever for a destination that blocks.
func TestLogQueueEnds(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	w := &stuck{free: make(chan struct{})}
	defer close(w.free)
	q := newLogQueue()
	fmt.Fprintln(q.to(w), "a line")
	ended := make(chan struct{})
	go func() { q.close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("close still waits")
	}
}

// TestConsoleLines: on a terminal, lines are written for people.
func TestConsoleLines(t *testing.T) {
	log, _ := logged("console",
		ftp.ControlOpened{}, ftp.LoggedInAs{User: "alice"},
		ftp.TransferDone{Verb: "RETR", Path: "/report.pdf", Direction: ftp.Retrieve, Bytes: 12800, Took: 100 * time.Millisecond},
		ftp.TransferDone{Verb: "STOR", Path: "/scan.pdf", Direction: ftp.Store, Bytes: 2_100_000, Took: 400 * time.Millisecond},
		ftp.TransferDone{Verb: "STOR", Path: "/cut", Direction: ftp.Store, Err: &ftp.Error{Verb: "STOR", Reply: ftp.NewReply(426, "cut")}},
		ftp.Changed{Verb: "DELE", Path: "/old.txt", Reply: ftp.NewReply(250, "")},
		ftp.Changed{Verb: "RNTO", Path: "/a", To: "/b", Reply: ftp.NewReply(250, "")},
		ftp.Changed{Verb: "MKD", Path: "/d", Reply: ftp.NewReply(550, "/d: exists already.")},
		ftp.Refused{Why: "the account has no permission to delete", Reason: ftp.ReasonPermission, Verb: "DELE", Path: "/x\x1b"},
		ftp.ControlClosed{},
	)
	want := []string{
		"alice logged in from 192.0.2.9:1234",
		"alice ← /report.pdf  13 kB  100 ms",
		"alice → /scan.pdf  2.1 MB  400 ms",
		"alice STOR /cut failed: 426 cut",
		"alice deleted /old.txt",
		"alice renamed /a to /b",
		"alice: MKD /d refused: 550 /d: exists already.",
		"alice: DELE /x? refused: the account has no permission to delete (users.perm)",
		"alice disconnected after 9.0 s",
	}
	got := strings.Split(strings.TrimSuffix(log, "\n"), "\n")
	if len(got) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(got), len(want), log)
	}
	for i, line := range got {
		if _, text, _ := strings.Cut(line, " "); text != want[i] {
			t.Errorf("%q, want %q", text, want[i])
		}
	}
}
