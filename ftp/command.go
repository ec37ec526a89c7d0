package ftp

import (
	"errors"
	"fmt"
	"strings"
)

// Command is one line from the client to the server (RFC 959 §5.3): a verb
// and, after one space, an argument.
type Command struct {
	Verb string // upper case
	Arg  string // unchanged: leading and trailing blanks are part of a name
}

// Errors for malformed commands, replies and arguments.
var (
	// ErrLineBreak is returned for an argument that contains a CR, LF or NUL.
	// It would end the line early, and the server would run the rest of the
	// argument as a second command.
	ErrLineBreak = errors.New("a CR, LF or NUL can't be part of a command")
	// ErrSyntax is returned for a line, reply or argument that cannot be parsed.
	ErrSyntax = errors.New("syntax error")
)

// ParseCommand parses a line without its line ending. The verb is converted to
// upper case. Blanks and bytes above 0x7f before it, which Telnet's Synch may
// leave there, are ignored. Only the one space after the verb separates it from
// the argument; further blanks are part of the argument.
func ParseCommand(line []byte) (Command, error) {
	for len(line) > 0 && (line[0] >= 0x80 || line[0] == ' ') {
		line = line[1:] // the remains of a Synch, or a blank before the verb
	}
	n := 0
	for n < len(line) && line[n] != ' ' {
		if c := line[n]; c <= ' ' || c >= 0x7f {
			return Command{}, fmt.Errorf("%w: a verb must be letters only", ErrSyntax)
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
	if hasLineBreak(cmd.Arg) { // no reply or listing could show the name of such a file
		return cmd, fmt.Errorf("%w: a CR, LF or NUL in the argument", ErrSyntax)
	}
	return cmd, nil
}

// Append appends the command's line, CRLF included, to b. A CR, LF or NUL in
// the argument is refused (ErrLineBreak), and Telnet's IAC is doubled. Every
// command that is sent passes through Append, so none can smuggle in another.
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

// String returns the command for a log: passwords, such as the arguments of
// PASS and ACCT, are masked.
func (c Command) String() string {
	if c.Arg == "" {
		return c.Verb
	}
	return c.Verb + " " + c.masked()
}

// Masked returns the command with passwords replaced, as events hold it.
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

// secretSites holds the SITE commands of ProFTPD, glFTPd, Serv-U, wu-ftpd and similar servers
// whose arguments include a password.
var secretSites = map[string]bool{
	"PSWD": true, "PASSWD": true, "PASS": true, "CPWD": true, "CHPASS": true, "CHPW": true, "ADDUSER": true,
	"GADDUSER": true, "USERADD": true, "GPASS": true,
}

// appendTelnet appends s with every IAC doubled, because the control connection
// follows the Telnet protocol (RFC 959 §3.1, RFC 854).
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
