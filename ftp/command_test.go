package ftp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParseCommand(t *testing.T) {
	tests := []struct {
		line string
		want Command
	}{
		{"NOOP", Command{"NOOP", ""}},
		{"noop", Command{"NOOP", ""}},
		{"RETR ", Command{"RETR", ""}},
		{"RETR a b ", Command{"RETR", "a b "}},
		{"RETR  a", Command{"RETR", " a"}},
		{"Stor \xff\xc3\xa9", Command{"STOR", "\xff\xc3\xa9"}},
		{" quit", Command{"QUIT", ""}},
		{"\xf2ABOR", Command{"ABOR", ""}},
		{"\xff\xf4\xff\xf2 abor", Command{"ABOR", ""}},
		{"X-Y z", Command{"X-Y", "z"}},
	}
	for _, tt := range tests {
		if got, err := ParseCommand([]byte(tt.line)); err != nil || got != tt.want {
			t.Errorf("%q: got %q %q, %v; want %q %q", tt.line, got.Verb, got.Arg, err, tt.want.Verb, tt.want.Arg)
		}
	}
	for _, line := range []string{
		"", " ", "   ", "\xff\xf2", "RE\tTR x", "\tRETR", "R\x00 x", "RÉTR x", "\x7f", "RETR a\x00b", "RETR a\rb", "RETR a\nDELE b",
	} {
		if got, err := ParseCommand([]byte(line)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: got %q %q, %v; want ErrSyntax", line, got.Verb, got.Arg, err)
		}
	}
}

func TestCommandAppend(t *testing.T) {
	tests := []struct {
		cmd  Command
		want string
	}{
		{Command{"NOOP", ""}, "NOOP\r\n"},
		{Command{"CWD", "a b "}, "CWD a b \r\n"},
		{Command{"CWD", " "}, "CWD  \r\n"},
		{Command{"STOR", "x\xffy\xff"}, "STOR x\xff\xffy\xff\xff\r\n"},
		{Command{"STOR", "漢字"}, "STOR 漢字\r\n"},
	}
	for _, tt := range tests {
		if got, err := tt.cmd.Append([]byte("|")); err != nil || string(got) != "|"+tt.want {
			t.Errorf("%q: got %q, %v; want %q", tt.cmd, got, err, tt.want)
		}
	}
}

func TestCommandAppendRefuses(t *testing.T) {
	tests := []struct {
		cmd  Command
		want error
	}{
		{Command{"RETR", "a\r\nDELE b"}, ErrLineBreak},
		{Command{"RETR", "a\rb"}, ErrLineBreak},
		{Command{"RETR", "a\nb"}, ErrLineBreak},
		{Command{"RETR", "a\x00b"}, ErrLineBreak},
		{Command{"PASS", "secret\n"}, ErrLineBreak},
		{Command{"", "x"}, ErrSyntax},
		{Command{"RETR x", ""}, ErrSyntax},
		{Command{"QUIT\r\n", ""}, ErrSyntax},
	}
	for _, tt := range tests {
		got, err := tt.cmd.Append([]byte("|"))
		if !errors.Is(err, tt.want) || string(got) != "|" {
			t.Errorf("%q %q: got %q, %v; want %v", tt.cmd.Verb, tt.cmd.Arg, got, err, tt.want)
		}
		if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("the error contains the secret: %q", err)
		}
	}
}

func TestCommandString(t *testing.T) {
	tests := []struct {
		cmd  Command
		want string
	}{
		{Command{"USER", "alice"}, "USER alice"},
		{Command{"PASS", "secret"}, "PASS ****"},
		{Command{"ACCT", "secret"}, "ACCT ****"},
		{Command{"ADAT", "secret"}, "ADAT ****"},
		{Command{"PASS", ""}, "PASS"},
		{Command{"QUIT", ""}, "QUIT"},
	}
	for _, tt := range tests {
		if got := tt.cmd.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{"NOOP", "retr a b ", "\xff\xf4\xf2ABOR", "RETR a\x00", "RETR a\rb", " ", "STOR \xff\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		cmd, err := ParseCommand(line)
		if err != nil {
			return
		}
		wire, err := cmd.Append(nil)
		if err != nil {
			t.Fatalf("%q: the parsed command can't be sent: %v", line, err)
		}
		if n := bytes.Count(wire, []byte("\n")); n != 1 {
			t.Fatalf("%q: %d lines", wire, n)
		}
		again, err := NewLineReader(bytes.NewReader(wire), len(wire)).ReadLine()
		if err != nil {
			t.Fatalf("%q: %v", wire, err)
		}
		if got, err := ParseCommand(again); err != nil || got != cmd {
			t.Errorf("%q: %q, then %q, %v", line, cmd, got, err)
		}
	})
}
