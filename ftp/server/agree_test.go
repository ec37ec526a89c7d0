package server

import (
	"bufio"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// TestBothEndsAgree sends random commands and steps a client's machine with the replies. After every reply both
// ends must be in the same state.
func TestBothEndsAgree(t *testing.T) {
	lines := []string{
		"USER anonymous", "USER nobody", "PASS x", "ACCT x", "REIN", "NOOP", "FROB", "PWD", "CWD /", "CWD /nope",
		"REST 3", "REST -3", "RNFR /a", "RNFR /nope", "RNTO /a", "RNTO /b/c", "TYPE I", "TYPE A", "TYPE X", "STRU F", "MODE S",
		"SIZE /a", "MDTM /a", "RETR /a", "STOR /b", "APPE /b", "LIST", "ABOR", "STAT", "HOST example.net", "FEAT", "OPTS UTF8 ON",
	}
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) { bothEndsAgree(t, seed, lines) })
	}
}

func bothEndsAgree(t *testing.T, seed uint64, lines []string) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	fsys := afero.NewMemMapFs()
	if err := afero.WriteFile(fsys, "/a", []byte("abcdef"), 0o644); err != nil {
		t.Fatal(err)
	}
	srv, err := New(Options{Auth: Static{"anonymous": {Anyone: true, Account: Account{FS: fsys, Perm: ReadWrite}}}})
	if err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe()
	s := newSession(srv, there, false)
	ended := make(chan struct{})
	go func() { defer close(ended); s.serve() }()
	r := ftp.NewLineReader(bufio.NewReader(here), 64<<10)
	var mine ftp.Machine
	step := func(line string) {
		verb, _, _ := strings.Cut(line, " ")
		reply, err := ftp.ReadReply(r)
		if err != nil {
			t.Fatalf("seed %d: after %q: %v", seed, line, err)
		}
		mine.Step(verb, reply.Code)
		if mine != s.machine {
			t.Fatalf("seed %d: after %q and %v the client is in %+v, the server in %+v", seed, line, reply, mine, s.machine)
		}
	}
	step("")
	for range 200 {
		line := lines[rnd.IntN(len(lines))]
		if _, err := here.Write([]byte(line + "\r\n")); err != nil {
			t.Fatal(err)
		}
		step(line)
		if mine.Login == ftp.Closing {
			break
		}
	}
	_ = here.Close()
	<-ended
	_ = srv.Close()
}
