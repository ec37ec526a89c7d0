package shell

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp/ftptest"
)

// TestComplete completes words of all kinds.
func TestComplete(t *testing.T) {
	remote := map[string][]listedName{
		"":             {{"docs", true}, {"my files", true}, {"my notes.txt", false}, {"readme", false}, {".hidden", false}, {"it's", false}, {"x\x1by", false}, {"bad\xff", false}},
		"docs/":        {{"guide.md", false}, {"deep", true}},
		"my files/":    {{"a b", false}},
		"nothing/":     nil,
		"docs/nobody/": nil,
	}
	c := &completer{
		verbs: verbsByName(),
		flags: func(string) []string { return []string{"--recursive", "--resume", "--retries"} },
		remote: func(dir string) []listedName {
			names, ok := remote[dir]
			if !ok {
				t.Errorf("%q was listed", dir)
			}
			return names
		},
		local: func(dir string) []listedName {
			return []listedName{{"here.txt", false}, {"here", true}, {"other " + strings.TrimSuffix(dir, "/"), false}}
		},
	}
	for _, tt := range []struct {
		line string // | is the cursor
		head string
		want []string
	}{
		{"mg|", "", []string{"mget "}},
		{"lp|", "", []string{"lpwd "}},
		{"ls; mp|", "ls; ", []string{"mput "}},
		{"get re|", "get ", []string{"readme "}},
		{"get do|", "get ", []string{"docs/"}},
		{"get docs/|", "get ", []string{"docs/deep/", "docs/guide.md"}},
		{"get docs/g|", "get ", []string{"docs/guide.md "}},
		{"cat a docs/g| tail", "cat a ", []string{"docs/guide.md "}},
		{"cd docs/|", "cd ", []string{"docs/deep/"}},
		{"get my|", "get ", []string{`my\ files/`, `my\ notes.txt`}},
		{`get my\ n|`, "get ", []string{`my\ notes.txt `}},
		{"get 'my n|", "get ", []string{"'my notes.txt' "}},
		{`get "my f|`, "get ", []string{`"my files/`}},
		{`get my\ files/|`, "get ", []string{`my\ files/a\ b `}},
		{"get i|", "get ", []string{`it\'s `}},
		{"get 'i|", "get ", []string{`'it'\''s' `}},
		{"get .|", "get ", []string{".hidden "}},
		{"get x|", "get ", nil}, // it has a control character
		{"get bad|", "get ", nil},
		{"get nothing/|", "get ", nil},
		{"get readme her|", "get readme ", []string{"here/", "here.txt"}},
		{"put her|", "put ", []string{"here/", "here.txt"}},
		{"put here.txt do|", "put here.txt ", []string{"docs/"}},
		{"lcd her|", "lcd ", []string{"here/"}},
		{"mirror do|", "mirror ", []string{"docs/"}},
		{"mirror docs h|", "mirror docs ", []string{"here/"}},
		{"mirror -R h|", "mirror -R ", []string{"here/"}},
		{"mirror -R here do|", "mirror -R here ", []string{"docs/"}},
		{"get --re|", "get ", []string{"--recursive", "--resume", "--retries"}},
		{"get -r --res|", "get -r ", []string{"--resume "}},
		{"get -r do|", "get -r ", []string{"docs/"}},
		{"chmod 6|", "chmod ", nil},
		{"chmod 600 re|", "chmod 600 ", []string{"readme "}},
		{"help mk|", "help ", []string{"mkdir "}},
		{"verbose o|", "verbose ", []string{"off", "on"}},
		{"type a|", "type ", []string{"ascii "}},
		{"nosuch re|", "nosuch ", nil},
		{"ls # re|", "ls # re", nil},
		{"ls | re|", "ls | re", nil},
		{"!ls re|", "!ls re", nil},
		{"put ~/x/oth|", "put ", []string{`~/x/other\ ~/x `}},
		{"get ü |", "get ü ", []string{"here/", "here.txt", `other\ `}},
	} {
		before, after := tt.line, ""
		if i := strings.LastIndex(tt.line, "|"); i >= 0 {
			before, after = tt.line[:i], tt.line[i+1:]
		}
		head, all, tail := c.complete(before+after, len([]rune(before)))
		if head != tt.head || tail != after || !slices.Equal(all, tt.want) {
			t.Errorf("%s: %q %q %q, want %q %q", tt.line, head, all, tail, tt.head, tt.want)
		}
	}
}

// TestShellVerbs: every row of the table has what completion and help need, and names are unique.
func TestShellVerbs(t *testing.T) {
	seen := map[string]bool{}
	s := &session{e: &verb.Env{Verbs: verbs, Ctx: t.Context()}, verbs: verbsByName()}
	for v := range slices.Values(slices.Concat(shellVerbs()...)) {
		for _, name := range v.names {
			if seen[name] {
				t.Errorf("%s is the name of two verbs", name)
			}
			seen[name] = true
		}
		if v.does == "" || v.completes == "" || (v.cli == "") == (v.run == nil) || (v.cli == "") != (v.operands == nil) {
			t.Errorf("%s: a field is missing", v.names[0])
		}
		if v.cli != "" && s.commandLine(v.cli) == nil {
			t.Errorf("%s: there is no miniftp %s", v.names[0], v.cli)
		}
		var b strings.Builder
		if err := s.help(&b, v); err != nil || !strings.Contains(b.String(), v.does) {
			t.Errorf("help %s: %q, %v", v.names[0], b.String(), err)
		}
		for line := range strings.Lines(b.String()) {
			if term.Cells(strings.TrimRight(line, "\n")) > flags.HelpWidth {
				t.Errorf("help %s: wider than a screen: %q", v.names[0], line)
			}
		}
	}
}

// TestListings: Tab uses cached names for a while, and lists again after a command that writes.
func TestListings(t *testing.T) {
	files := afero.NewMemMapFs()
	if err := afero.WriteFile(files, "/d/one", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	srv := ftptest.NewServer(t, files)
	s := testSession(t, srv.URL+"/d")
	names := func() (all []string) {
		for _, n := range s.remoteNames("") {
			all = append(all, n.name)
		}
		return all
	}
	if got := names(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("first: %q", got)
	}
	if err := afero.WriteFile(files, "/d/two", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("from the cache: %q", got)
	}
	if err := s.runLine("mkdir three"); err != nil {
		t.Fatal(err)
	}
	got := names()
	slices.Sort(got)
	if !slices.Equal(got, []string{"one", "three", "two"}) {
		t.Errorf("after mkdir: %q", got)
	}
	s.listings.forget()
	srv.Fail("MLSD", ftptest.HangUp())
	srv.Fail("LIST", ftptest.HangUp())
	if got := names(); got != nil {
		t.Errorf("while the server does not answer: %q", got)
	}
}
