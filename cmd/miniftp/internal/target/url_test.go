package target

import (
	"strings"
	"testing"
)

// Pattern characters make a pattern in the path of a URL only.
func TestNamesSeveral(t *testing.T) {
	for url, want := range map[string]bool{
		"ftp://[::1]/a": false, "ftp://[::1]:2121/a": false, "ftp://u*:p?[x]@h/a": false, "ftp://h/a%2A": false, "ftp://h/%5Ba": false,
		"ftp://h/a*": true, "ftp://[::1]/a?": true, "ftp://h/[ab]": true,
	} {
		if NamesSeveral(url) != want {
			t.Errorf("%s: %v, want %v", url, !want, want)
		}
	}
}

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
		r, err := Parse(s)
		if err != nil {
			return
		}
		if strings.ContainsAny(r.Path+r.User+r.Pass+r.Addr, "\r\n\x00") {
			t.Errorf("%q carries a line break: %+v", s, r)
		}
		again, err := Parse(r.String())
		if err != nil || again.Path != r.Path || again.Addr != r.Addr || again.Scheme != r.Scheme || again.User != r.User {
			t.Errorf("%q became %q, and that %+v instead of %+v, %v", s, r.String(), again, r, err)
		}
	})
}
