package control

import (
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
)

// Where a certificate comes from.
const (
	FromFile   = "file"        // --tls-cert
	SelfSigned = "self-signed" // --tls-self-signed
	FromACME   = "acme"        // --tls-acme
)

// Certificate is a certificate of a server.
type Certificate struct {
	Names  []string `json:"names"`  // the hosts that it is for; may be empty
	Source string   `json:"source"` // FromFile, SelfSigned or FromACME
	File   string   `json:"file,omitempty"`

	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"` // zero: not issued yet

	// Error is why the last attempt to get or renew it failed.
	Error string `json:"error,omitempty"`
}

const day = 24 * time.Hour

// thresholds holds how long before its end a certificate is warned of.
var thresholds = []time.Duration{21 * day, 7 * day, day, 0}

// Stage returns how near the end of c is: the number of thresholds that have passed, of 21, 7, 1 and 0 days before it.
//
// A certificate from ACME is renewed when a third of its time is left. So those thresholds that come before that do not
// count: one that is valid for six days is no problem when it is new.
func (c *Certificate) Stage(now time.Time) (stage int) {
	for i, before := range thresholds {
		if c.Source == FromACME && before > c.NotAfter.Sub(c.NotBefore)/4 {
			continue
		}
		if !c.NotAfter.IsZero() && c.NotAfter.Sub(now) <= before {
			stage = i + 1
		}
	}
	return stage
}

// Name returns what people call c: its file, or its hosts.
func (c *Certificate) Name() string {
	if c.File != "" {
		return ftp.Printable(c.File)
	}
	return ftp.Printable(strings.Join(c.Names, ", "))
}

// Problem returns what is wrong with c, and what to do, as a sentence that begins with its name. It returns "" if nothing
// is wrong.
func (c *Certificate) Problem(now time.Time) string {
	text := ""
	switch stage := c.Stage(now); {
	case c.NotAfter.IsZero() && c.Error != "":
		return c.Name() + ": there is no certificate: " + c.Error
	case c.NotAfter.IsZero():
		return c.Name() + ": there is no certificate yet: the authority is being asked"
	case stage == 0:
		return ""
	case stage == len(thresholds):
		text = "the certificate expired on " + at(c.NotAfter) + ": clients will refuse it; "
	default:
		text = "the certificate expires in " + left(c.NotAfter.Sub(now)) + ", on " + at(c.NotAfter) + ": "
	}
	return c.Name() + ": " + text + c.remedy()
}

// remedy returns what to do about a certificate that ends.
func (c *Certificate) remedy() string {
	switch {
	case c.Source == FromACME && c.Error != "":
		return "it could not be renewed: " + c.Error
	case c.Source == FromACME:
		return "it is being renewed"
	case c.Source == SelfSigned:
		return "remove the file and restart the server to have a new one made, whose fingerprint clients must --pin"
	}
	return "replace it; the server reads the new file by itself"
}

// Describe returns a line about c for people.
func (c *Certificate) Describe(now time.Time) string {
	if problem := c.Problem(now); problem != "" {
		return problem
	}
	return c.Name() + ": the certificate is valid for another " + left(c.NotAfter.Sub(now)) + ", until " + at(c.NotAfter)
}

func at(t time.Time) string { return t.Local().Format("2006-01-02 15:04 MST") }

// left returns a time that is left, rounded down.
func left(d time.Duration) string {
	count := func(n time.Duration, one, more string) string {
		return humanize.Comma(int64(n)) + " " + term.Plural(int64(n), one, more)
	}
	switch {
	case d >= 2*day:
		return count(d/day, "day", "days")
	case d >= 2*time.Hour:
		return count(d/time.Hour, "hour", "hours")
	}
	return count(d/time.Minute, "minute", "minutes")
}
