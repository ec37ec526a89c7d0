package ftp

import (
	"math/rand/v2"
	"testing"
)

// step is a verb and the code of its reply.
type step struct {
	verb string
	code Code
}

func run(steps ...step) Machine {
	var m Machine
	for _, s := range steps {
		m.Step(s.verb, s.code)
	}
	return m
}

func TestMachineLogin(t *testing.T) {
	tests := []struct {
		name  string
		steps []step
		want  Login
	}{
		{"greeting", []step{{"", 220}}, Fresh},
		{"user", []step{{"USER", 331}}, NeedPass},
		{"user and password", []step{{"USER", 331}, {"PASS", 230}}, LoggedIn},
		{"no password needed", []step{{"USER", 230}}, LoggedIn},
		{"superfluous password", []step{{"USER", 230}, {"PASS", 202}}, LoggedIn},
		{"wrong password", []step{{"USER", 331}, {"PASS", 530}}, Fresh},
		{"account after the password", []step{{"USER", 331}, {"PASS", 332}}, NeedAcct},
		{"account after the user", []step{{"USER", 332}, {"ACCT", 230}}, LoggedIn},
		{"wrong account", []step{{"USER", 331}, {"PASS", 332}, {"ACCT", 530}}, Fresh},
		{"password out of sequence", []step{{"PASS", 503}}, Fresh},
		{"syntax errors change nothing", []step{{"USER", 331}, {"PASS", 501}}, NeedPass},
		{"USER again drops the rights", []step{{"USER", 230}, {"USER", 331}}, NeedPass},
		{"refused USER drops them too", []step{{"USER", 230}, {"USER", 530}}, Fresh},
		{"REIN", []step{{"USER", 230}, {"REIN", 220}}, Fresh},
		{"REIN refused", []step{{"USER", 230}, {"REIN", 502}}, LoggedIn},
		{"AUTH starts over", []step{{"USER", 331}, {"AUTH", 234}}, Fresh},
		{"AUTH refused", []step{{"USER", 331}, {"AUTH", 504}}, NeedPass},
		{"HOST starts over", []step{{"USER", 230}, {"HOST", 220}}, Fresh},
		{"QUIT", []step{{"QUIT", 221}}, Closing},
		{"QUIT refused", []step{{"USER", 230}, {"QUIT", 500}}, LoggedIn},
		{"421 to anything", []step{{"USER", 230}, {"NOOP", 421}}, Closing},
		{"421 without being asked", []step{{"USER", 230}, {"", 421}}, Closing},
		{"nothing opens it again", []step{{"QUIT", 221}, {"USER", 230}, {"REIN", 220}}, Closing},
		{"other verbs", []step{{"USER", 230}, {"CWD", 550}, {"NOOP", 200}, {"PASS", 503}}, LoggedIn},
	}
	for _, tt := range tests {
		if got := run(tt.steps...).Login; got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMachinePending(t *testing.T) {
	rnfr, rest := step{"RNFR", 350}, step{"REST", 350}
	tests := []struct {
		name  string
		steps []step
		want  Pending
	}{
		{"RNFR", []step{rnfr}, RenameFrom},
		{"RNFR refused", []step{{"RNFR", 550}}, NothingPending},
		{"RNFR twice", []step{rnfr, rnfr}, RenameFrom},
		{"the second RNFR refused", []step{rnfr, {"RNFR", 550}}, NothingPending},
		{"RNTO uses it", []step{rnfr, {"RNTO", 250}}, NothingPending},
		{"RNTO refused uses it too", []step{rnfr, {"RNTO", 553}}, NothingPending},
		{"NOOP clears it", []step{rnfr, {"NOOP", 200}}, NothingPending},
		{"an unknown verb clears it", []step{rnfr, {"XYZZY", 500}}, NothingPending},
		{"REST", []step{rest}, RestartAt},
		{"REST refused", []step{{"REST", 501}}, NothingPending},
		{"the second REST refused", []step{rest, {"REST", 554}}, NothingPending},
		{"REST replaces RNFR", []step{rnfr, rest}, RestartAt},
		{"RNFR replaces REST", []step{rest, rnfr}, RenameFrom},
		{"REST, then the setup", []step{rest, {"PASV", 227}, {"EPSV", 229}, {"PORT", 200}, {"EPRT", 200}, {"TYPE", 200}}, RestartAt},
		{"REST over a listing", []step{rest, {"LIST", 150}, {"LIST", 226}, {"MLSD", 226}, {"NLST", 226}}, RestartAt},
		{"REST over questions", []step{rest, {"SIZE", 213}, {"MDTM", 550}, {"NOOP", 200}, {"CWD", 250}}, RestartAt},
		{"RETR uses it", []step{rest, {"RETR", 150}, {"RETR", 226}}, NothingPending},
		{"not before the final reply", []step{rest, {"RETR", 150}}, RestartAt},
		{"RETR that failed", []step{rest, {"RETR", 550}}, NothingPending},
		{"STOR", []step{rest, {"STOR", 150}, {"STOR", 226}}, NothingPending},
		{"APPE", []step{rest, {"APPE", 554}}, NothingPending},
		{"STOU", []step{rest, {"STOU", 226}}, NothingPending},
		{"REIN", []step{rest, {"REIN", 220}}, NothingPending},
		{"USER", []step{rest, {"USER", 331}}, NothingPending},
		{"ABOR", []step{rest, {"ABOR", 226}}, NothingPending},
		{"ABOR refused", []step{rest, {"ABOR", 502}}, RestartAt},
	}
	for _, tt := range tests {
		if got := run(tt.steps...).Pending; got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMachineTransfer(t *testing.T) {
	for _, verb := range []string{"RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD"} {
		if !IsTransfer(verb) {
			t.Errorf("%s is a transfer", verb)
		}
		m := run(step{verb, 150})
		if m.Transfer != Busy {
			t.Errorf("%s 150: %v", verb, m.Transfer)
		}
		for _, s := range []step{{"NOOP", 200}, {"STAT", 211}, {"PASV", 503}} {
			if m.Step(s.verb, s.code); m.Transfer != Busy {
				t.Errorf("%s 150, %s %d: %v", verb, s.verb, s.code, m.Transfer)
			}
		}
		for _, final := range []Code{226, 250, 425, 426, 451, 552, 421} {
			after := m
			if after.Step(verb, final); after.Transfer != Idle {
				t.Errorf("%s 150, %d: %v", verb, final, after.Transfer)
			}
		}
	}
	for _, verb := range []string{"", "MLST", "STAT", "SIZE", "PASV", "retr"} {
		if m := run(step{verb, 150}); IsTransfer(verb) || m.Transfer != Idle {
			t.Errorf("%q is not a transfer", verb)
		}
	}
}

// TestMachineProperties steps the machines of both sides through the same random replies.
func TestMachineProperties(t *testing.T) {
	verbs := []string{
		"", "USER", "PASS", "ACCT", "REIN", "AUTH", "HOST", "QUIT", "RNFR", "RNTO", "REST", "PASV", "EPSV", "PORT", "TYPE",
		"RETR", "STOR", "STOU", "APPE", "LIST", "NLST", "MLSD", "ABOR", "NOOP", "STAT", "CWD", "XYZZY",
	}
	codes := []Code{0, 110, 150, 200, 202, 220, 221, 226, 227, 229, 230, 234, 250, 331, 332, 350, 421, 425, 426, 500, 503, 530, 550, 633}
	r := rand.New(rand.NewPCG(959, 3659))
	for range 500 {
		var user, server Machine
		for range 60 {
			before := user
			s := step{verbs[r.IntN(len(verbs))], codes[r.IntN(len(codes))]}
			user.Step(s.verb, s.code)
			server.Step(s.verb, s.code)
			if user != server {
				t.Fatalf("%v: the sides differ: %v and %v", s, user, server)
			}
			if broken := brokenLaw(before, user, s); broken != "" {
				t.Fatalf("%v from %v to %v: %s", s, before, user, broken)
			}
		}
	}
}

func brokenLaw(before, after Machine, s step) string {
	final := s.code.Class() != Preliminary
	switch {
	case before.Login == Closing && after.Login != Closing:
		return "left Closing"
	case s.code == 421 && after.Login != Closing:
		return "421 does not close"
	case before.Login != LoggedIn && after.Login == LoggedIn && s.verb != "USER" && s.verb != "PASS" && s.verb != "ACCT":
		return "logged in by another verb"
	case after.Login == LoggedIn && before.Login != LoggedIn && s.code.Class() != Completion:
		return "logged in by a refusal"
	case before.Pending == RenameFrom && after.Pending == RenameFrom && final && s != step{"RNFR", 350}:
		return "RNFR outlived a verb"
	case before.Pending != RenameFrom && after.Pending == RenameFrom && s != step{"RNFR", 350}:
		return "RNFR out of nothing"
	case before.Pending != RestartAt && after.Pending == RestartAt && s != step{"REST", 350}:
		return "REST out of nothing"
	case before.Pending == RestartAt && after.Pending != RestartAt && (s.verb == "LIST" || s.verb == "PASV" || s.verb == "TYPE" || s.verb == "NOOP"):
		return "REST got lost"
	case before.Transfer == Busy && after.Transfer == Idle && !IsTransfer(s.verb):
		return "another verb ended the transfer"
	case after.Transfer == Busy && before.Transfer == Idle && (final || !IsTransfer(s.verb)):
		return "busy without a preliminary reply"
	}
	return ""
}

func TestParamsStep(t *testing.T) {
	tests := []struct {
		cmd  Command
		code Code
		from Params
		want Params
	}{
		{Command{"TYPE", "I"}, 200, Params{}, Params{Type: Image}},
		{Command{"TYPE", "l 8"}, 200, Params{}, Params{Type: Local8}},
		{Command{"TYPE", "A N"}, 200, Params{Type: Image}, Params{Type: ASCII}},
		{Command{"TYPE", "I"}, 504, Params{}, Params{}},
		{Command{"TYPE", "I"}, 150, Params{}, Params{}},
		{Command{"TYPE", "X"}, 200, Params{Type: Image}, Params{Type: Image}},
		{Command{"PROT", "P"}, 200, Params{}, Params{Protection: Private}},
		{Command{"PBSZ", "0"}, 200, Params{}, Params{Sized: true}},
		{Command{"PBSZ", "x"}, 501, Params{}, Params{}},
		{Command{"EPSV", " all"}, 200, Params{}, Params{OnlyEPSV: true}},
		{Command{"EPSV", "ALL"}, 500, Params{}, Params{}},
		{Command{"EPSV", "1"}, 229, Params{}, Params{}},
		{Command{"EPSV", ""}, 229, Params{OnlyEPSV: true}, Params{OnlyEPSV: true}},
		{Command{"USER", "anna"}, 331, Params{OnlyEPSV: true, Sized: true}, Params{Sized: true}},
		{Command{"USER", "anna"}, 232, Params{OnlyEPSV: true}, Params{}},
		{Command{"USER", "anna"}, 501, Params{OnlyEPSV: true}, Params{OnlyEPSV: true}},
		{Command{"AUTH", "TLS"}, 234, Params{OnlyEPSV: true}, Params{Protection: Clear}},
		{Command{"REIN", ""}, 220, Params{OnlyEPSV: true, Sized: true, Type: Image}, Params{Sized: true}},
		{Command{"PROT", "p"}, 200, Params{}, Params{Protection: Private}},
		{Command{"PROT", "C"}, 200, Params{Protection: Private}, Params{Protection: Clear}},
		{Command{"PROT", "C"}, 534, Params{Protection: Private}, Params{Protection: Private}},
		{Command{"PROT", "S"}, 200, Params{Protection: Private}, Params{Protection: Private}},
		{Command{"REIN", ""}, 220, Params{Type: Image, Mode: Deflate, Protection: Private}, Params{Protection: Private}},
		{Command{"REIN", ""}, 502, Params{Type: Image}, Params{Type: Image}},
		{Command{"NOOP", "I"}, 200, Params{}, Params{}},
	}
	for _, tt := range tests {
		got := tt.from
		if got.Step(tt.cmd, tt.code); got != tt.want {
			t.Errorf("%v %d: got %+v, want %+v", tt.cmd, tt.code, got, tt.want)
		}
	}
}

func FuzzMachine(f *testing.F) {
	f.Add("QUIT", uint16(221), "USER", uint16(230))
	f.Add("RNFR", uint16(350), "RNTO", uint16(250))
	f.Add("REST", uint16(350), "LIST", uint16(150))
	f.Fuzz(func(t *testing.T, verb1 string, code1 uint16, verb2 string, code2 uint16) {
		var m Machine
		for _, s := range []step{{verb1, Code(code1)}, {verb2, Code(code2)}} {
			before := m
			m.Step(s.verb, s.code)
			if broken := brokenLaw(before, m, s); broken != "" {
				t.Errorf("%v from %v to %v: %s", s, before, m, broken)
			}
		}
	})
}
