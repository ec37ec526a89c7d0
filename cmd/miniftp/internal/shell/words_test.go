package shell

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/target"
)

func TestSplitLine(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // words in brackets; ;, & and | as in the line
		bad  string // part of the error
	}{
		{line: "", want: ""},
		{line: "  # nothing", want: ""},
		{line: "get a b", want: "[get][a][b]"},
		{line: "get 'my copy' \"a b\" a\\ b", want: "[get][my copy][a b][a b]"},
		{line: `get it\'s "it's" 'say "x"' "a\"b\\c"`, want: `[get][it's][it's][say "x"][a"b\c]`},
		{line: `lcd C:\dir\name`, want: `[lcd][C:\dir\name]`},
		{line: "ls; pwd ;; cd x;", want: "[ls];[pwd];[cd][x]"},
		{line: "get x#1 # why", want: "[get][x#1]"},
		{line: "get a &", want: "[get][a]&"},
		{line: "get a& get b&;pwd", want: "[get][a]&;[get][b]&;[pwd]"},
		{line: "get R&D.txt", want: "[get][R&D.txt]"},
		{line: "cat a | wc -l; pwd", want: "[cat][a]|wc -l|;[pwd]"},
		{line: "cat a|sed 's/;/x/' \\; | tr a b", want: `[cat][a]|sed 's/;/x/' \; | tr a b|`},
		{line: "ls; !echo a; echo 'b", want: "[ls];[!][echo a; echo 'b]"},
		{line: "!", want: "[!]"},
		{line: "get 'a'b\"c\"", want: "[get][abc]"},
		{line: "get ''", want: "[get][]"},
		{line: "get 'a", bad: "(') is not closed"},
		{line: `get "a\"`, bad: `(") is not closed`},
		{line: "get a && ls", bad: "&& is not supported"},
		{line: "get a || ls", bad: "|| is not supported"},
		{line: "& ls", bad: "& must follow the command"},
		{line: "| wc", bad: "| must be between"},
		{line: "ls |", bad: "| must be between"},
	} {
		all, err := splitLine(tt.line)
		if tt.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("%q: %v, want %q", tt.line, err, tt.bad)
			}
			continue
		}
		var parts []string
		for _, c := range all {
			part := ""
			for _, w := range c.words {
				part += "[" + w.text + "]"
			}
			if c.background {
				part += "&"
			}
			if c.pipe != "" {
				part += "|" + c.pipe + "|"
			}
			parts = append(parts, part)
		}
		if got := strings.Join(parts, ";"); err != nil || got != tt.want {
			t.Errorf("%q: %s, %v, want %s", tt.line, got, err, tt.want)
		}
	}
}

// TestWordGlob: quoted wildcards are literal, and stay so in a URL.
func TestWordGlob(t *testing.T) {
	for _, tt := range []struct {
		word, glob, url string
		isGlob          bool
	}{
		{"*.md", "*.md", "*.md", true},
		{`'*.md'`, `\*.md`, "%2A.md", false},
		{`a\*?`, `a\*?`, "a%2A?", true},
		{`'[x]'[ab]`, `\[x\][ab]`, "%5Bx][ab]", true},
		{`'50% off;type=a'`, "50% off;type=a", "50%25%20off%3Btype=a", false},
		{`"back\\slash"`, `back\\slash`, `back\slash`, false},
	} {
		all, err := splitLine(tt.word)
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %v", tt.word, err)
		}
		w := all[0].words[0]
		if got := escapeGlob(w.glob); w.glob != tt.glob || w.isGlob() != tt.isGlob || got != tt.url {
			t.Errorf("%s: glob %s (%v), URL %s", tt.word, w.glob, w.isGlob(), got)
		}
		r, err := target.Parse("ftp://h/" + escapeGlob(w.glob))
		if err != nil || r.Path != w.text {
			t.Errorf("%s: came back as %q, %v", tt.word, r.Path, err)
		}
		if tt.isGlob != (r.Pattern != "") {
			t.Errorf("%s: the URL's pattern is %q", tt.word, r.Pattern)
		}
	}
}

// TestQuoteWord: a quoted name is read back as one word.
func TestQuoteWord(t *testing.T) {
	for _, name := range []string{"a", "a b", "it's", `"x"`, `a\b`, "-x", "~x", "!x", "#x", "a#b", "a&b&", "x;y", "x|y", "*[?]", "$(x) `y` <z>", "ü 世界", "a~b-c!d"} {
		for _, quote := range []rune{0, '\'', '"'} {
			quoted := quoteWord(name, quote, true)
			all, err := splitLine("get " + quoted + " end")
			if err != nil || len(all) != 1 || len(all[0].words) != 3 {
				t.Errorf("%q: %s: %+v, %v", name, quoted, all, err)
				continue
			}
			if w := all[0].words[1]; w.text != name || w.isGlob() || w.isFlag() {
				t.Errorf("%q: %s is %q, glob %v, flag %v", name, quoted, w.text, w.isGlob(), w.isFlag())
			}
		}
	}
}

func FuzzSplitLine(f *testing.F) {
	f.Add(`get 'a b' c\ d | x ; ls & # y`)
	f.Fuzz(func(t *testing.T, line string) {
		all, err := splitLine(line)
		if err != nil {
			return
		}
		for _, c := range all {
			for _, w := range c.words {
				if !typeable(w.text) || w.text == "" {
					continue
				}
				again, err := splitLine("x " + quoteWord(w.text, 0, true))
				if err != nil || len(again) != 1 || len(again[0].words) != 2 || again[0].words[1].text != w.text {
					t.Errorf("%q: %+v, %v", w.text, again, err)
				}
			}
		}
	})
}

func TestLocalNames(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"a.txt", "b.txt", ".hidden.txt", "c[1].txt"} {
		if err := os.WriteFile(filepath.Join(home, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(names ...string) []string {
		for i, name := range names {
			names[i] = filepath.Join(home, name)
		}
		return names
	}
	for _, tt := range []struct {
		word string
		want []string
	}{
		{"~/*.txt", in("a.txt", "b.txt", "c[1].txt")},
		{"~/.*.txt", in(".hidden.txt")},
		{"~/nothing*", in("nothing*")},
		{"~/'c[1].txt'", in("c[1].txt")},
		{"~/c[1].txt", in("c[1].txt")},
		{"~", []string{home}},
		{"'~'", []string{"~"}},
		{"~someone", []string{"~someone"}},
	} {
		all, err := splitLine(tt.word)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := localNames(all[0].words[0], home); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %v, want %q", tt.word, got, err, tt.want)
		}
	}
}

// TestMaskLine: the passwords in a line of the shell are masked.
func TestMaskLine(t *testing.T) {
	s := &session{}
	s.secrets.Add("bob", "known-one")
	for line, want := range map[string]string{
		"get a":                                     "get a",
		"get pass word; ls site":                    "get pass word; ls site",
		"open ftp://alice@host:21/a@b:c":            "open ftp://alice@host:21/a@b:c",
		"open ftp://alice:secret@host/":             "open ftp://alice:****@host/",
		"ls; open ftp://alice:secret@host/":         "ls; open ftp://alice:****@host/",
		"get 'ftp://alice:se cr@et@host/a b' c":     "get 'ftp://alice:****@host/a b' c",
		"cat x | curl -T - ftp://u:secret@host/y":   "cat x | curl -T - ftp://u:****@host/y",
		"# ftp://u:secret@host/":                    "# ftp://u:****@host/",
		"user alice":                                "user alice",
		"user alice secret":                         "user alice ****",
		"quote PASS secret":                         "quote PASS ****",
		"literal acct x":                            "literal acct ****",
		"quote 'pass' secret":                       "quote 'pass' ****",
		"site pswd old new":                         "site pswd ****",
		"ls;quote site adduser bob secret *@* ; ls": "ls;quote site adduser ****; ls",
		"site chmod 644 a":                          "site chmod 644 a",
		"!curl ftp://a:b@host/":                     "!curl ftp://a:****@host/",
		"copy a ftp://x:y@host/b &":                 "copy a ftp://x:****@host/b &",
		"get known-one":                             "get ****",
	} {
		if got := s.maskLine(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
