package ftp

import (
	"errors"
	"fmt"
	"strings"
)

// Command is one line from the user to the server (RFC 959 §5.3): a verb and,
// behind one space, everything else.
type Command struct {
	Verb string // upper case
	Arg  string // as it came: leading and trailing blanks belong to a name
}

// Errors of the command codec.
var (
	// ErrLineBreak refuses an argument that would end the line early and let
	// its rest run as a command of its own.
	ErrLineBreak = errors.New("a CR, LF or NUL can't be part of a command")
	// ErrSyntax is a line, reply or argument that does not parse.
	ErrSyntax = errors.New("syntax error")
)

// ParseCommand reads a line without its end. The verb is folded to upper case
// and stripped of what the Telnet layer may leave before it; only the one space
// behind the verb is taken off the argument.
func ParseCommand(line []byte) (Command, error) {
	for len(line) > 0 && (line[0] >= 0x80 || line[0] == ' ') {
		line = line[1:] // the rest of a Synch, or a blank before the verb
	}
	n := 0
	for n < len(line) && line[n] != ' ' {
		if c := line[n]; c <= ' ' || c >= 0x7f {
			return Command{}, fmt.Errorf("%w: a verb is letters only", ErrSyntax)
		}
		n++
	}
	if n == 0 {
		return Command{}, fmt.Errorf("%w: an empty line", ErrSyntax)
	}
	cmd := Command{Verb: strings.ToUpper(string(line[:n]))}
	if n < len(line) {
		cmd.Arg = string(line[n+1:])
	}
	if hasLineBreak(cmd.Arg) { // no reply and no listing could name such a file
		return cmd, fmt.Errorf("%w: a CR, LF or NUL in the argument", ErrSyntax)
	}
	return cmd, nil
}

// Append adds the command's line, CRLF included, to b. This is the one place
// where commands become bytes: it refuses CR, LF and NUL (ErrLineBreak) and
// doubles Telnet's IAC.
func (c Command) Append(b []byte) ([]byte, error) {
	if c.Verb == "" || strings.ContainsAny(c.Verb, " \r\n\x00") {
		return b, fmt.Errorf("%q is not a verb: %w", c.Verb, ErrSyntax)
	}
	if strings.ContainsAny(c.Arg, "\r\n\x00") {
		return b, fmt.Errorf("%s %q: %w", c.Verb, c.masked(), ErrLineBreak)
	}
	b = append(b, c.Verb...)
	if c.Arg != "" {
		b = append(b, ' ')
		b = appendTelnet(b, c.Arg)
	}
	return append(b, '\r', '\n'), nil
}

// String is the command as a log may show it: the arguments of PASS, ACCT and
// their like are masked.
func (c Command) String() string {
	if c.Arg == "" {
		return c.Verb
	}
	return c.Verb + " " + c.masked()
}

// Masked is the command without its secret: what an Event may hold.
func (c Command) Masked() Command {
	c.Arg = c.masked()
	return c
}

func (c Command) masked() string {
	switch strings.ToUpper(c.Verb) {
	case "PASS", "ACCT", "ADAT":
		if c.Arg != "" {
			return mask
		}
	case "SITE":
		if word, rest, _ := strings.Cut(strings.TrimLeft(c.Arg, " "), " "); secretSites[strings.ToUpper(word)] && rest != "" {
			return word + " " + mask
		}
	}
	return c.Arg
}

// secretSites are SITE commands of ProFTPD, glFTPd, Serv-U, wu-ftpd and their kin whose
// arguments hold a password.
var secretSites = map[string]bool{
	"PSWD": true, "PASSWD": true, "PASS": true, "CPWD": true, "CHPASS": true, "CHPW": true, "ADDUSER": true,
	"GADDUSER": true, "USERADD": true, "GPASS": true,
}

// appendTelnet adds s with every IAC doubled, as the control connection is a
// Telnet connection (RFC 959 §3.1, RFC 854).
func appendTelnet(b []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, iac)
		if i < 0 {
			return append(b, s...)
		}
		b = append(append(b, s[:i+1]...), iac)
		s = s[i+1:]
	}
}
