package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// state is everything that parameter commands can change.
type state struct {
	params ftp.Params
	pend   pending
	facts  ftp.Facts
	hash   string
	level  int
	idle   string
	tls    tlsStep
	fxp    fxp
	umask  string
}

func (s *session) state() state {
	return state{s.params, s.pend, s.facts, s.hash, s.level, fmt.Sprint(s.idle.Seconds()), s.tlsNext, s.fxp, fmt.Sprintf("%03o", s.umask)}
}

// parameterLines has, for each command that sets a parameter, the words that may be its arguments, and what its
// reply must contain in a given state.
var parameterLines = []struct {
	verb  string
	words []string
	says  func(s state) string
}{
	{"TYPE", []string{"A", "I", "L 8", "E", "A N", "A T", "A C", "L 7", "i", "l 8", "AI", "8"}, func(s state) string {
		return "Type " + s.params.Type.String() + ":"
	}},
	{"STRU", []string{"F", "R", "P", "f", "FF"}, func(s state) string { return "Structure " + s.params.Structure.String() + "." }},
	{"MODE", []string{"S", "B", "C", "Z", "b", "z", "SB", "s"}, func(s state) string { return "Mode " + s.params.Mode.String() + "." }},
	{"PROT", []string{"C", "P", "p", "c", "S", "E", "PP", "P P"}, func(s state) string {
		if s.params.Protection == ftp.Private {
			return "are under TLS"
		}
		return "are clear"
	}},
	{"AUTH", []string{"TLS", "tls", "TLS-C", "TLS-P", "SSL", "ssl", "GSSAPI", "TLS TLS"}, func(s state) string {
		if s.params.Protection == ftp.Private {
			return "data connections are under TLS"
		}
		return "handshake."
	}},
	{"PBSZ", []string{"0", "00", "1", "-1", "4294967295", "4294967296", "0x0"}, func(state) string { return "PBSZ=0" }},
	{"REST", []string{"0", "5", "05", "9223372036854775807", "9223372036854775808", "-1", "+1", "5 5", "0x5"}, func(s state) string {
		return fmt.Sprintf("at byte %d.", s.pend.restart)
	}},
	{"RANG", []string{"0 5", "1 0", "5 1", "5 9223372036854775807", "9223372036854775807 9223372036854775807", "5  7", "5", "a b", "-1 5", "0 9223372036854775808", "1 2 3"}, func(s state) string {
		if s.pend.end < 0 {
			return "the whole file"
		}
		return fmt.Sprintf("the bytes %d to %d.", s.pend.restart, s.pend.end)
	}},
	{"OPTS MLST", []string{"", "type;size;", "TYPE;Nonsense;", "size", ";;;", "type; size;"}, func(s state) string {
		return strings.TrimRight("MLST OPTS "+s.facts.String(), " ")
	}},
	{"OPTS HASH", []string{"", "MD5", "md5", "SHA-512", "SHA512", "MD5 MD5"}, func(s state) string { return s.hash }},
	{"OPTS MODE", []string{"Z LEVEL 5", "z level 9", "Z LEVEL 0", "Z LEVEL 10", "Z LEVEL 3 ENGINE NONE", "Z LEVEL 3 LEVEL", "Z ENGINE ZLIB", "B LEVEL 3", "Z"}, func(s state) string {
		if s.level == 0 {
			return "its default level"
		}
		return fmt.Sprintf("level %d.", s.level)
	}},
	{"SITE IDLE", []string{"", "60", "060", "10", "9", "300", "301", "3600", "-60", "60s", "9223372036854775807"}, func(s state) string {
		return "for " + s.idle + " seconds"
	}},
	{"SITE UMASK", []string{"", "022", "27", "0", "777", "778", "1000", "-22", "0x12"}, func(s state) string { return "the bits " + s.umask }},
	{"EPSV", []string{"ALL", "all", "ALLE", "3"}, func(s state) string { return "EPSV only" }},
	{"SSCN", []string{"", "ON", "on", "OFF", "ONN"}, func(s state) string {
		if s.fxp.sscn {
			return "CLIENT METHOD"
		}
		return "SERVER METHOD"
	}},
}

// For every command that sets a parameter, in every spelling: if the server accepts it, the state is what the
// reply says, and the client's copy of the parameters is the same. If the server refuses it, the state has not
// changed.
func TestParametersAreWhatTheReplySays(t *testing.T) {
	before := []string{"", "TYPE I", "TYPE A", "PROT P", "REST 7", "RANG 3 4", "MODE B", "OPTS MODE Z LEVEL 2", "SITE UMASK 077"}
	agreed := map[string]bool{}
	for _, line := range parameterLines {
		for _, word := range line.words {
			for _, arg := range []string{word, word + " ", " " + word, "  " + word + "  ", word + "\t", "\t" + word, word + "\u00a0"} {
				for _, first := range before {
					if spelling(t, first, line.verb, arg, line.says) {
						agreed[line.verb] = true
					}
				}
			}
		}
	}
	for _, line := range parameterLines {
		if !agreed[line.verb] {
			t.Errorf("%s was never accepted: the test tests nothing", line.verb)
		}
	}
}

// spelling sends one command and then another to a new session. It reports whether the second was accepted.
func spelling(t *testing.T, first, verb, arg string, says func(state) string) bool {
	t.Helper()
	srv, err := New(Options{Auth: Static{}, ModeZ: true, TLS: &tls.Config{Certificates: make([]tls.Certificate, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	s := newSession(srv, ours, false)
	s.data = dtp.NewManager(&s.set.data, s.control.Local, s.control.Remote, nil)
	s.reset()
	s.machine.Login = ftp.LoggedIn
	s.account = &Account{FS: afero.NewMemMapFs(), Perm: ReadWrite, FXP: true}
	if verb != "AUTH" {
		s.tls, s.params.Sized = dtp.ServerSecurity(s.set.tls, s.set.SessionReuse), true
	}
	mine := s.params
	exchange := func(line string) ftp.Reply {
		cmd, err := ftp.ParseCommand([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		s.out = nil
		s.execute(cmd)
		r, err := ftp.ReadReply(ftp.NewLineReader(strings.NewReader(string(s.out)), 1<<16))
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("%q: %v", line, err)
		}
		mine.Step(cmd, r.Code)
		return r
	}
	if first != "" {
		exchange(first)
	}
	was := s.state()
	line := verb + " " + arg
	r := exchange(line)
	is := s.state()
	switch class := r.Code.Class(); {
	case mine != s.params:
		t.Errorf("%q, %q: %v: the client has %+v, the server %+v", first, line, r, mine, s.params)
	case class == ftp.Completion || class == ftp.Intermediate:
		if want := says(is); !strings.Contains(r.Text(), want) {
			t.Errorf("%q, %q: %v does not say %q: %+v", first, line, r, want, is)
		}
		return true
	default:
		if verb == "REST" || verb == "RANG" { // a refused one withdraws the one before (machine.go)
			was.pend = pending{end: -1}
		}
		if is != was {
			t.Errorf("%q, %q: %v changed %+v to %+v", first, line, r, was, is)
		}
	}
	return false
}
