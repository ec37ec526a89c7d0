package verb

import (
	"strings"
	"testing"
)

func TestMaskPassword(t *testing.T) {
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
		if got := MaskPassword(tt.word); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.word, got, tt.want)
		}
	}
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
		if got := MaskPassword(before + secret + after); strings.Contains(got, secret) {
			t.Errorf("%q shows the password: %q", before+secret+after, got)
		}
	})
}
