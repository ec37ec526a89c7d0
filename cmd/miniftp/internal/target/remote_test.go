package target

import "testing"

// TestRemote checks which paths URLs have, and that the URLs of paths mean the same again.
func TestRemote(t *testing.T) {
	for _, tt := range []struct{ url, storage, path, pattern, text string }{
		{"ftp://u:p@h/a", "", "a", "", "ftp://u@h/a"},
		{"s3://b", "s3://b", "/", "", "s3://b/"},
		{"s3://b/a/", "s3://b", "/a/", "", "s3://b/a/"},
		{"s3://b/a%20b%2A", "s3://b", "/a b*", "", "s3://b/a%20b%2A"},
		{"s3://b/a*?region=r", "s3://b?region=r", "/a*", "/a*", "s3://b/a%2A?region=r"},
		{"s3://b/q%3Fregion=r", "s3://b", "/q?region=r", "", "s3://b/q%3Fregion=r"},
		{"zip:d/x.zip!/a;type=a", "zip:d/x.zip", "/a", "", "zip:d/x.zip!/a"},
		{"zip:x.zip", "zip:x.zip", "/", "", "zip:x.zip!/"},
	} {
		r, err := ParseRemote(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		if r.Storage != tt.storage || r.Path != tt.path || r.Pattern != tt.pattern || r.String() != tt.text {
			t.Errorf("%s: storage %q, path %q, pattern %q, text %q", tt.url, r.Storage, r.Path, r.Pattern, r)
		}
		again, err := ParseRemote(r.String())
		if err != nil || again.Path != r.Path || !again.SameTree(r) {
			t.Errorf("%s: %s means %q, %v", tt.url, r, again.Path, err)
		}
	}
	a, _ := ParseRemote("s3://b/x")
	b, _ := ParseRemote("s3://b?region=r")
	c, _ := ParseRemote("ftp://h/x")
	if !a.SameServer(a) || a.SameServer(b) || a.SameServer(c) || c.SameTree(a) {
		t.Error("which storages are the same")
	}
}
