package server

import (
	"bytes"
	"strings"

	"miniftp/ftp"
)

// Another protocol on this port is a mistake or an attack: a web page can make a browser send a request whose
// body contains FTP commands. Therefore the first line of another protocol ends the session, before and after
// the login.

// foreignVerbs are the first words of HTTP and SMTP requests that are not FTP commands.
var foreignVerbs = map[string]string{
	"GET": "HTTP", "HEAD": "HTTP", "POST": "HTTP", "PUT": "HTTP", "DELETE": "HTTP", "PATCH": "HTTP",
	"OPTIONS": "HTTP", "CONNECT": "HTTP", "TRACE": "HTTP", "PRI": "HTTP",
	"HELO": "SMTP", "EHLO": "SMTP",
}

// foreign returns the name of the protocol that a line belongs to, or "" for FTP. A TLS handshake may contain
// no line end; the LineReader detects one at the start of the connection.
func foreign(line []byte) string {
	switch {
	case bytes.HasPrefix(line, []byte("SSH-")):
		return "SSH"
	case bytes.HasPrefix(line, []byte("\x16\x03")):
		return "TLS"
	}
	verb, _, _ := bytes.Cut(line, []byte(" "))
	return foreignVerbs[strings.ToUpper(string(verb))]
}

// maxUnknown is how many unknown commands are accepted before login.
const maxUnknown = 3

// endForeign ends a session whose client uses another protocol.
func (s *session) endForeign(name string) {
	s.dead = &foreignError{name}
	s.emitRefused(s.dead.Error(), ftp.ReasonOther)
	s.reply(ftp.Command{}, ftp.Replyf(421, "This is FTP, not %s. Goodbye.", name))
}

// foreignError is why such a session ended.
type foreignError struct{ protocol string }

func (e *foreignError) Error() string { return "the client uses " + e.protocol + ", not FTP" }
