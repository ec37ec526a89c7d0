//go:build unix

package settings

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// withGroups returns settings with a source, and two groups.
func withGroups(t *testing.T) *Config {
	t.Helper()
	cf := FromFile(verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), `
root = "/srv/{user}"
[auth]
sources = ["file", "exec:/bin/true"]
[groups.staff]
root = "/staff/{group}"
perm = "rw"
quota = "1M"
[groups.plain]
`))
	for _, err := range cf.Problems {
		t.Error(err)
	}
	return cf
}

// TestAccepted: an answer sets what [users.NAME] sets, except for the password and the root, and the group has the rest.
func TestAccepted(t *testing.T) {
	cf := withGroups(t)
	for _, tt := range []struct {
		name string
		keys map[string]any
		want string // the root, perm, and quota, or the error
	}{
		{"bob", nil, "/srv/bob ro 0"},
		{"bob", map[string]any{"perm": "rw", "quota": int64(5)}, "/srv/bob rw 5"},
		{"bob", map[string]any{"perm": []any{"store", "mkdir"}}, "/srv/bob store, mkdir 0"},
		{"bob", map[string]any{"group": "staff"}, "/staff/staff rw 1000000"},
		{"bob", map[string]any{"group": "staff", "perm": "ro", "quota": int64(0)}, "/staff/staff ro 0"},
		{"bob", map[string]any{"group": "plain"}, "/srv/bob ro 0"},
		{"bob", map[string]any{"group": "none"}, "key group: there is no [groups.none]"},
		{"bob", map[string]any{"group": ""}, `key group: must be a text in quotes: "…"`},
		{"bob", map[string]any{"root": "/"}, `key "root" is not one that a source can set`},
		{"bob", map[string]any{"password": "x"}, `key "password" is not one that a source can set`},
		{"bob", map[string]any{"Perm": "rw"}, `key "Perm" is not one that a source can set`},
		{"bob", map[string]any{"perm": "all"}, `key perm: all: must be "ro", "rw", "drop" or a list of`},
		{"bob", map[string]any{"perm": nil}, `key perm: must be "ro", "rw", "drop" or a list of`},
		{"bob", map[string]any{"quota": "x"}, "key quota: must be a number of bytes"},
		{"bob", map[string]any{"max-sessions": int64(-1)}, "key max-sessions: must be a whole number"},
		{"bob", map[string]any{"networks": "10.0.0.1/8"}, "key networks: \"10.0.0.1/8\" has bits set"},
		{"bob", map[string]any{"expires": "soon"}, "key expires: must be a date"},
		{"bob", map[string]any{"fxp": "true"}, "key fxp: must be true or false"},
		{"../bob", nil, "the name can't be a part of the root /srv/{user} as {user}"},
		{".bob", nil, "the name can't be a part of the root /srv/{user} as {user}"},
		{"../bob", map[string]any{"group": "staff"}, "/staff/staff rw 1000000"},
	} {
		a, err := cf.Accepted(tt.name, tt.keys)
		got := ""
		switch {
		case err != nil:
			got = err.Error()
		case a.WhyRootless() != nil:
			got = a.WhyRootless().Error()
		default:
			got = strings.Join([]string{filepath.ToSlash(cf.RootOf(a)), a.May(), strconv.FormatInt(a.Quota, 10)}, " ")
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s %v: %s, want %s", tt.name, tt.keys, got, tt.want)
		}
	}
	if len(cf.Problems) > 0 {
		t.Errorf("answers are problems of the configuration: %v", cf.Problems)
	}
}

// TestExternalUsers: the roots that users whom a source accepts can have.
func TestExternalUsers(t *testing.T) {
	var got []string
	for _, a := range withGroups(t).ExternalUsers("bob") {
		got = append(got, a.Group)
	}
	if want := []string{"", "staff"}; !slices.Equal(got, want) { // plain has the root of the server
		t.Errorf("%q, want %q", got, want)
	}
	if cf := FromFile(""); cf.ExternalUsers("") != nil || len(cf.Everybody()) != 1 {
		t.Errorf("without a source: %v", cf.Everybody())
	}
}

func TestMayHold(t *testing.T) {
	for _, tt := range []struct {
		outer, inner string
		want         bool
	}{
		{"/srv/{user}", "/srv/x", true},
		{"/srv/{user}", "/srv/x/y", true},
		{"/srv/{user}", "/srv", false},
		{"/srv/{user}", "/other/x", false},
		{"/srv/{user}", "/srv/{group}", true},
		{"/srv/{user}/data", "/srv/x", false},
		{"/srv/{user}/data", "/srv/x/data", true},
		{"/srv/{user}/data", "/srv/x/other", false},
		{"/srv/u-{user}", "/srv/backup", false},
		{"/srv/u-{user}", "/srv/u-x", true},
		{"/srv/{group}/{user}", "/srv/staff/x/y", true},
		{"/srv/{user}", "/SRV/x", true},
		{"s3://b/{user}", "s3://b/x/y", true},
		{"s3://b/{user}", "s3://c/x", false},
		{"s3://b/{user}?region=eu", "s3://b/x/y?region=eu", true},
		{"s3://b/{user}?region=eu", "s3://b/x", true},
		{"s3://b/{user}", "s3://b/x?region=eu", true},
		{"s3://b/a/{user}?endpoint=http://h:1/", "s3://b/a/staff/{user}?endpoint=http://h:1/", true},
		{"s3://b/a/{user}", "s3://b/./a//x", true},
		{"s3://b/a/{user}?region=eu", "s3://c/a/x?region=eu", false},
		{"/srv/{user}", "s3://srv/x", false},
	} {
		if got := parsePattern(tt.outer).mayHold(parsePattern(tt.inner)); got != tt.want {
			t.Errorf("%s, %s: %v", tt.outer, tt.inner, got)
		}
	}
}
