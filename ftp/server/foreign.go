package server

import (
	"bytes"
	"strings"

	"miniftp/ftp"
)

// Another protocol on this port is a mistake or an attack: a web page can make a
// browser send a request here whose body holds FTP commands. So its first word
// ends the session, before login and after it.

// foreignVerbs begin requests of HTTP and SMTP, and none of FTP.
var foreignVerbs = map[string]string{
	"GET": "HTTP", "HEAD": "HTTP", "POST": "HTTP", "PUT": "HTTP", "DELETE": "HTTP", "PATCH": "HTTP",
	"OPTIONS": "HTTP", "CONNECT": "HTTP", "TRACE": "HTTP", "PRI": "HTTP",
	"HELO": "SMTP", "EHLO": "SMTP",
}

// foreign names the protocol that a line is of; "" for FTP. Of a TLS handshake
// that comes first, which may hold no line at all, the LineReader tells.
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

// maxUnknown is how many commands that nobody knows are borne before login.
const maxUnknown = 3

// strange ends a session whose client speaks that protocol.
func (s *session) strange(name string) {
	s.dead = &strangeError{name}
	s.refused(s.dead.Error(), ftp.ReasonOther)
	s.reply(ftp.Command{}, ftp.Replyf(421, "This is FTP, not %s. Goodbye.", name))
}

// strangeError is why the session ended.
type strangeError struct{ protocol string }

func (e *strangeError) Error() string { return "the client speaks " + e.protocol + ", not FTP" }
