package server

import (
	"strings"
	"testing"
)

// The first words of other protocols end a session; those of FTP do not.
func TestForeign(t *testing.T) {
	for line, want := range map[string]string{
		"GET / HTTP/1.1": "HTTP", "post /x HTTP/1.0": "HTTP", "PRI * HTTP/2.0": "HTTP", "EHLO me": "SMTP",
		"SSH-2.0-OpenSSH_9.2": "SSH", "\x16\x03\x01\x02": "TLS",
		"USER x": "", "HELP": "", "OPTS UTF8 ON": "", "DELE x": "", "STAT": "", "": "", "PASS GET": "",
	} {
		if got := foreign([]byte(line)); got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}

// No command of the table is mistaken for one of another protocol.
func TestNoRowIsForeign(t *testing.T) {
	for _, v := range Verbs() {
		for _, name := range append([]string{v.Name}, v.Aliases...) {
			verb, _, _ := strings.Cut(name, " ")
			if foreign([]byte(verb+" x")) != "" {
				t.Errorf("%s is mistaken for a foreign command", verb)
			}
		}
	}
}
