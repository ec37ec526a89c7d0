package authn

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"strconv"
	"strings"

	"miniftp/ftp/server"
)

// question is what a source gets, as JSON. docs/auth.md documents its fields.
type question struct {
	Version   int     `json:"version"`
	User      string  `json:"user"`
	Password  string  `json:"password"`
	Certified bool    `json:"certified"`
	Address   string  `json:"address"`
	Port      uint16  `json:"port"`
	Host      string  `json:"host"`
	Protocol  string  `json:"protocol"`
	TLS       *secure `json:"tls"`
}

// secure describes the TLS of the control connection.
type secure struct {
	Version  string `json:"version"`
	Subject  string `json:"subject"`  // of the client's certificate, "" for none
	Verified bool   `json:"verified"` // the certificate is signed by an authority of --tls-client-ca
}

func newQuestion(l *server.Login) *question {
	q := &question{
		Version: 1, User: l.User, Password: l.Password, Certified: l.Certified, Host: l.Host,
		Address: l.Remote.Addr().Unmap().String(), Port: l.Remote.Port(), Protocol: "ftp",
	}
	if l.TLS != nil {
		q.Protocol = "ftps"
		q.TLS = &secure{Version: tls.VersionName(l.TLS.Version), Subject: subject(l), Verified: len(l.TLS.VerifiedChains) > 0}
	}
	return q
}

// subject returns the subject of the client's certificate, or "".
func subject(l *server.Login) string {
	if l.TLS == nil || len(l.TLS.PeerCertificates) == 0 {
		return ""
	}
	return l.TLS.PeerCertificates[0].Subject.String()
}

// encode returns the question as a line of JSON.
func (q *question) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(q) //nolint:gosec // the password is what the source is asked about
	return b.Bytes(), err
}

// scrub replaces the password in what a source says, as it is and as programs quote it.
func scrub(text, password string) string {
	if password == "" {
		return text
	}
	quoted, _ := json.Marshal(password)
	for _, form := range []string{password, inner(string(quoted)), inner(strconv.Quote(password)), inner(strconv.QuoteToASCII(password))} {
		text = strings.ReplaceAll(text, form, "****")
	}
	return text
}

// inner removes the quotes around s.
func inner(s string) string { return s[1 : len(s)-1] }
