package main

import (
	"strings"
	"testing"
)

// A URL either is refused, or says the same when it is written again; nothing of it
// can break a command line on the wire, and no error quotes a password.
func FuzzParseRemote(f *testing.F) {
	for _, s := range []string{
		"ftp://h", "ftpes://u:p@h:21/a/b", "ftps://[::1]:990/%2Fetc/x;type=a", "ftp://u%40v:p%2F@h/*.txt", "ftp://h/[a", "ftp://h/%5Ba", "ftp://h/%0d%0aDELE x",
		"ftp://@h/", "ftp://h:0/", "ftp://u:pass:word@h//abs", "ftp://[fe80::1%25eth0]/", "ftp://[fe80::1%eth0]:21/", "ftp://h/a#b?c", "FTP://h/%zz", "://", "ftp://u:%@h",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRemote(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(r.path+r.user+r.pass+r.addr, "\r\n\x00") {
			t.Errorf("%q carries a line break: %+v", s, r)
		}
		again, err := parseRemote(r.String())
		if err != nil || again.path != r.path || again.addr != r.addr || again.scheme != r.scheme || again.user != r.user {
			t.Errorf("%q became %q, and that %+v instead of %+v, %v", s, r.String(), again, r, err)
		}
	})
}

// A password after a colon never shows, whatever else is wrong with the word.
func FuzzMaskPassword(f *testing.F) {
	f.Add("ftp://u:", "@h/a")
	f.Add("ftp://u:a%20b@", "@[::1]:21/")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "S3CR3T"
		if !strings.HasPrefix(before, "ftp://u:") || strings.ContainsAny(before[7:], " /") || !strings.HasPrefix(after, "@") || strings.Contains(before+after, secret) {
			return
		}
		if got := maskPassword(before + secret + after); strings.Contains(got, secret) {
			t.Errorf("%q shows the password: %q", before+secret+after, got)
		}
	})
}

// What a .netrc file holds is read without trouble, and no entry is made up.
func FuzzParseNetrc(f *testing.F) {
	for _, s := range []string{
		"machine h login u password p", "default login a password \"b c\"", "machine h\nlogin u # no comment\nmacdef m\nx\n\nmachine i", "# only this", "machine", "password", "machine h login \"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		entries := parseNetrc(s)
		if len(entries) > len(strings.Fields(s)) {
			t.Errorf("%d entries of %q", len(entries), s)
		}
		for _, e := range entries {
			if !strings.Contains(s, e.machine) || !strings.Contains(s, e.login) && !strings.Contains(s, "\\") {
				t.Errorf("%q has no %+v", s, e)
			}
		}
	})
}

// Numbers of the command line: bounded, or refused.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"1-2", "40000-40100", "0-1", "9-1", "1.5M", "-1", "1e30G", "NaN", "k", "65536-65537"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := byteRate("--rate", s); err == nil && (n < 0 || n > 1e15) {
			t.Errorf("--rate %q is %d", s, n)
		}
		if r, err := portRange("--passive-ports", s); err == nil && (r[0] > r[1] || s != "" && r[0] == 0) {
			t.Errorf("--passive-ports %q is %v", s, r)
		}
	})
}
