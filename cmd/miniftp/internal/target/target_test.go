package target

import "testing"

// TestNamesSeveral: pattern characters count only in the path of a URL.
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
