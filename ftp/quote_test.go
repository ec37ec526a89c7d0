package ftp

import (
	"errors"
	"testing"
)

func TestParse257(t *testing.T) {
	tests := []struct {
		text, want string
		ok         bool
	}{
		{`"/" is the current directory`, "/", true},
		{`"/a b/c" created`, "/a b/c", true},
		{`"/" `, "/", true},
		{`"/say ""hi""" created`, `/say "hi"`, true},
		{`"""" is odd`, `"`, true},
		{`"" is odd`, "", true},
		{`Current directory is "/x".`, "/x", true},
		{`"/ends ""`, "", false},
		{`"/never closes`, "", false},
		{`/ no quotes`, "", false},
		{`/ is the current directory`, "/", true},
		{`/a b is current directory.`, "/a b", true},
		{`/a is b is your current location`, "/a is b", true},
		{`/a is CWD`, "/a", true},
		{`/a is cwd or not`, "", false},
		{`/a is the current`, "", false},
		{`/home/x`, "/home/x", true},
		{` /home/x `, "/home/x", true},
		{`/q/r created`, "/q/r", true},
		{`/q/r created.`, "/q/r", true},
		{`USER:[DIR] is current directory`, "USER:[DIR]", true},
		{` is current directory`, "", false},
		{`directory unknown`, "", false},
		{"/a\rb", "", false},
		{"/a\nis current directory", "", false},
		{``, "", false},
		{`"`, "", false},
		{"\"/a\rb\" x", "", false},
		{"\"/a\nb\" x", "", false},
		{"\"/a\x00b\" x", "", false},
		{"\"/\xff\xfe é\" x", "/\xff\xfe é", true},
	}
	for _, tt := range tests {
		got, err := Parse257(tt.text)
		if tt.ok && (err != nil || got != tt.want) {
			t.Errorf("%q: got %q, %v; want %q", tt.text, got, err, tt.want)
		}
		if !tt.ok && (!errors.Is(err, ErrSyntax) || got != "") {
			t.Errorf("%q: got %q, %v; want ErrSyntax", tt.text, got, err)
		}
	}
}

func TestQuote257(t *testing.T) {
	for _, path := range []string{"/", "", `"`, `""`, `/a"b`, `/"`, `"/`, "/ü 漢字 \xff", " / "} {
		for _, comment := range []string{"", " created", ` is "here"`} {
			if got, err := Parse257(Quote257(path) + comment); err != nil || got != path {
				t.Errorf("%q + %q: got %q, %v", path, comment, got, err)
			}
		}
	}
}

func FuzzParse257(f *testing.F) {
	for _, s := range []string{`"/" is here`, `"a""b" x`, `"`, `"""`, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		path, err := Parse257(s)
		if err != nil {
			return
		}
		if len(path) > len(s) {
			t.Errorf("%q: longer than its quotation: %q", s, path)
		}
		if again, err := Parse257(Quote257(path) + " ok"); err != nil || again != path {
			t.Errorf("%q: %q, then %q, %v", s, path, again, err)
		}
	})
}
