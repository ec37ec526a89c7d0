package connect

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
)

// TestEndlessFiles: files longer than any that a person would write are refused.
func TestEndlessFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, local.MaxFile+1); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func(string) (string, error){netrcText, passwordFile} {
		if _, err := read(file); err == nil || !strings.Contains(err.Error(), "the file is larger than") || verb.ExitCode(err) != verb.ExitLocal {
			t.Error(err)
		}
	}
}

// TestNetrcLogin: the entry is chosen by host and user.
func TestNetrcLogin(t *testing.T) {
	name := filepath.Join(t.TempDir(), "netrc")
	t.Setenv("NETRC", name)
	if _, _, ok, err := netrcLogin("a:21", ""); ok || err != nil {
		t.Errorf("no file: %v, %v", ok, err)
	}
	if err := os.WriteFile(name, []byte("machine a login b password c machine a login d password e default login f"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ addr, user, login, password string }{
		{"a:21", "", "b", "c"},
		{"A:2121", "", "b", "c"},
		{"a:21", "d", "d", "e"},
		{"a:21", "x", "", ""},
		{"other:21", "", "f", ""},
		{"other:21", "b", "", ""},
	} {
		login, password, ok, err := netrcLogin(tt.addr, tt.user)
		if login != tt.login || password != tt.password || ok != (tt.login != "") || err != nil {
			t.Errorf("%+v: %q %q %v %v", tt, login, password, ok, err)
		}
	}
}

// TestParseNetrc: the format, with malformed files.
func TestParseNetrc(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []netrcEntry
	}{
		{"", nil},
		{"machine", []netrcEntry{{}}},
		{"machine h", []netrcEntry{{machine: "h"}}},
		{"machine h login", []netrcEntry{{machine: "h"}}},
		{"login nobody password x\nmachine h password p login l", []netrcEntry{{"h", "l", "p"}}},
		{"machine a login b password c machine d\n\tlogin e\n\tpassword f\n", []netrcEntry{{"a", "b", "c"}, {"d", "e", "f"}}},
		{"# machine x login y\nmachine a login b # why\npassword c", []netrcEntry{{"a", "b", "c"}}},
		{"machine a login machine password #c", []netrcEntry{{"a", "machine", "#c"}}},
		{`machine a login b password "two words \"\\"`, []netrcEntry{{"a", "b", `two words "\`}}},
		{`machine a login b password "open`, []netrcEntry{{"a", "b", "open"}}},
		{"machine a login b account x password c default login anonymous", []netrcEntry{{"a", "b", "c"}, {"", "anonymous", ""}}},
		{"machine a login b\nmacdef init\nmachine x login y\ncd /z\n\nmachine c login d", []netrcEntry{{"a", "b", ""}, {"c", "d", ""}}},
		{"macdef init\nmachine x", nil},
	} {
		if got := parseNetrc(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

// FuzzParseNetrc: any text can be parsed, and all entries are made of words in it.
func FuzzParseNetrc(f *testing.F) {
	for _, s := range []string{
		"machine h login u password p", "default login a password \"b c\"", "machine h\nlogin u # no comment\nmacdef m\nx\n\nmachine i", "# only this", "machine", "password", "machine h login \"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		entries := parseNetrc(s)
		if len(entries) > len(strings.Fields(s)) {
			t.Errorf("%d entries, more than words, from %q", len(entries), s)
		}
		for _, e := range entries {
			if !strings.Contains(s, e.machine) || !strings.Contains(s, e.login) && !strings.Contains(s, "\\") {
				t.Errorf("the entry %+v is not in %q", e, s)
			}
		}
	})
}
