package ftp_test

import (
	"strings"
	"testing"

	"miniftp/ftp"
)

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want ftp.URL
		text string // the result of String; "" means the URL itself
	}{
		{"ftp://h", ftp.URL{Scheme: "ftp", Addr: "h:21"}, "ftp://h/"},
		{"FTPES://h:2121/a/b", ftp.URL{Scheme: "ftpes", Addr: "h:2121", Path: "a/b"}, "ftpes://h:2121/a/b"},
		{"ftps://[::1]/%2Fetc/x;type=a", ftp.URL{Scheme: "ftps", Addr: "[::1]:990", Path: "/etc/x", ASCII: true}, "ftps://[::1]/%2Fetc/x"},
		{"ftp://[fe80::1%25eth0]:21/", ftp.URL{Scheme: "ftp", Addr: "[fe80::1%eth0]:21"}, "ftp://[fe80::1%25eth0]/"},
		{"ftp://al%40ice:p%2Fw@h//abs", ftp.URL{Scheme: "ftp", Addr: "h:21", User: "al@ice", Password: "p/w", HasPassword: true, Path: "/abs"}, "ftp://al%40ice@h/%2Fabs"},
		{"ftp://alice:@h/a#b?c", ftp.URL{Scheme: "ftp", Addr: "h:21", User: "alice", HasPassword: true, Path: "a#b?c", Pattern: "a#b?c"}, "ftp://alice@h/a#b%3Fc"},
		{"ftp://h/%2A*.txt", ftp.URL{Scheme: "ftp", Addr: "h:21", Path: "**.txt", Pattern: `\**.txt`}, "ftp://h/%2A%2A.txt"},
	} {
		u, err := ftp.ParseURL(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if text := u.String(); text != tt.text {
			t.Errorf("%s: String returns %s, want %s", tt.url, text, tt.text)
		}
		if got := *u; got.Given() == "" || !same(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.url, got, tt.want)
		}
	}
}

// same reports whether the exported fields of two URLs are equal.
func same(a, b ftp.URL) bool {
	return a.SameServer(&b) && a.Path == b.Path && a.Pattern == b.Pattern && a.ASCII == b.ASCII
}

// Errors explain what is wrong with a URL, and do not contain the password.
func TestParseURLErrors(t *testing.T) {
	for url, want := range map[string]string{
		"h/a":                  `"h/a" is not a URL such as ftp://host/path`,
		"u:S3CR3T@h/a":         `"u:****@h/a" is not a URL such as ftp://host/path`,
		"http://h/":            "http:// is not supported: only ftp://, ftpes:// (AUTH TLS) and ftps:// (TLS first)",
		"ftp:///a":             "the URL names no host",
		"ftp://u:S3CR3T@":      "the URL names no host",
		"ftp://h:0/":           "the port in the URL is not a number from 1 to 65535 (in a password, write %2F for / and %40 for @)",
		"ftp://u:S3CR3T/x@h/":  "the port in the URL is not a number from 1 to 65535 (in a password, write %2F for / and %40 for @)",
		"ftp://u:S3CR3T%@h/":   "the password in the URL is not encoded correctly: write %25 for a percent sign",
		"ftp://u:S3C%0aR3T@h/": "a CR, LF or NUL can't be part of a URL",
		"ftp://h o/":           `"h o" is not a host name`,
		"ftp://h/a%2":          "the URL ends in a broken % sequence: write %25 for a percent sign",
		"ftp://h/a%zz":         `"%zz" in the URL is not a % sequence: write %25 for a percent sign`,
		"ftp://h/[a":           `"[a" is not a pattern: a [ is not closed (write %5B for the character)`,
		"ftp://h/a;type=x":     ";type=x is neither a (text) nor i (bytes)",
	} {
		if u, err := ftp.ParseURL(url); err == nil || err.Error() != want || u != nil {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
}

// A URL that is accepted has the same meaning after String. It contains nothing that could end a
// command early, and no error contains a password.
func FuzzParseURL(f *testing.F) {
	for _, s := range []string{
		"ftp://h", "ftpes://u:p@h:21/a/b", "ftps://[::1]:990/%2Fetc/x;type=a", "ftp://u%40v:p%2F@h/*.txt", "ftp://h/[a", "ftp://h/%5Ba", "ftp://h/%0d%0aDELE x",
		"ftp://@h/", "ftp://h:0/", "ftp://u:pass:word@h//abs", "ftp://[fe80::1%25eth0]/", "ftp://[fe80::1%eth0]:21/", "ftp://h/a#b?c", "FTP://h/%zz", "://", "ftp://u:%@h",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ftp.ParseURL(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(r.Path+r.User+r.Password+r.Addr, "\r\n\x00") {
			t.Errorf("%q contains a line break: %+v", s, r)
		}
		again, err := ftp.ParseURL(r.String())
		if err != nil || again.Path != r.Path || again.Addr != r.Addr || again.Scheme != r.Scheme || again.User != r.User {
			t.Errorf("%q became %q, and that %+v instead of %+v, %v", s, r.String(), again, r, err)
		}
	})
}

func TestMaskURL(t *testing.T) {
	for _, tt := range []struct{ word, want string }{
		{"ftp://h/a", "ftp://h/a"},
		{"ftp://h:21/a@b", "ftp://h:21/a@b"},
		{"ftp://[::1]:21/a", "ftp://[::1]:21/a"},
		{"ftp://u@h/a:b@c", "ftp://u@h/a:b@c"},
		{"ftp://u:p@h:21/a", "ftp://u:****@h:21/a"},
		{"ftp://u:p@q@h/a", "ftp://u:****@h/a"},
		{"ftp://u:p/q@h/a", "ftp://u:****@h/a"},
		{"u:p@h/a", "u:****@h/a"},
		{"ftp://al/ice:pw@h/a", "ftp://al/ice:****@h/a"},
		{"ftp://al/ice:p/w@h/a", "ftp://al/ice:****@h/a"},
		{"ftp://al:21/ice:pw@h/a", "ftp://al:****@h/a"},
		{"ftp:///u:p@h/a", "ftp:///u:****@h/a"},
		{"FTPS://u:p@h", "FTPS://u:****@h"},
		{"ftp:/u:p@h", "ftp:****@h"},
		{"al/ice:pw@h/a", "al/ice:****@h/a"},
		{"ftp://h/a@b", "ftp://h/a@b"},
		{"ftp://h/a:b", "ftp://h/a:b"},
		{"README.md", "README.md"},
		{"10:30", "10:30"},
	} {
		if got := ftp.MaskURL(tt.word); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.word, got, tt.want)
		}
	}
}

// A password after a colon is never shown, even if s is not a valid URL.
func FuzzMaskURL(f *testing.F) {
	f.Add("ftp://u:", "@h/a")
	f.Add("ftp://u:a%20b@", "@[::1]:21/")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "S3CR3T"
		if !strings.HasPrefix(before, "ftp://u:") || strings.ContainsAny(before[7:], " /") || !strings.HasPrefix(after, "@") || strings.Contains(before+after, secret) {
			return
		}
		if got := ftp.MaskURL(before + secret + after); strings.Contains(got, secret) {
			t.Errorf("%q shows the password: %q", before+secret+after, got)
		}
	})
}
