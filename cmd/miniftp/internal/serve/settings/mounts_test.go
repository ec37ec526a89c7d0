package settings

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// parsedMounts returns the settings of a file.
func parsedMounts(t *testing.T, text string) *Config {
	t.Helper()
	return FromFile(verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), text))
}

// TestMounts: mounts are read in both forms, those of a group are defaults by path, and placeholders are replaced.
func TestMounts(t *testing.T) {
	cf := parsedMounts(t, `
[users.alice]
password = "p"
perm = "ro"
group = "team"
[users.alice.mounts]
"/a" = "/srv/a"
"/b" = "s3://bucket/b?region=eu:drop"
"/c" = { root = "/srv/{user}", perm = ["read", "store"], quota = "1k", quota-files = 3 }
[users.alice.mounts."/d/e"]
root = "/srv/{group}"
[groups.team.mounts]
"/a" = "/never:rw"
"/f" = "mem://:rw"
`)
	for _, err := range cf.Problems {
		t.Fatal(err)
	}
	var got []string
	for _, tree := range cf.Trees(cf.User("alice"))[1:] {
		got = append(got, fmt.Sprintf("%s %s %s %v", tree.Mount.Path, tree.Spec(), May(tree.Perms()), tree.Writes()))
	}
	want := []string{"/a /srv/a ro false", "/b s3://bucket/b?region=eu drop true", "/c /srv/alice read, store true", "/d/e /srv/team ro false", "/f mem:// rw true"}
	if !slices.Equal(got, want) {
		t.Errorf("the mounts are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if m := cf.User("alice").mount("/c"); m.Quota != 1000 || m.QuotaFiles != 3 {
		t.Errorf("/c has the quota %d, %d", m.Quota, m.QuotaFiles)
	}
}

// TestMountMistakes: each mistake is found once, with its line.
func TestMountMistakes(t *testing.T) {
	for line, want := range map[string]string{
		`"/" = "x"`:                        "/ is the home itself",
		`"rel" = "x"`:                      "must begin with a slash",
		`"/a/" = "x"`:                      "write the path as /a",
		`"/a/../b" = "x"`:                  "write the path as /b",
		`"/a" = "x:rx"`:                    "ends in :rx, which is no permission",
		`"/a" = ":ro"`:                     "there is no root before the permission",
		`"/a" = ""`:                        "a mount is",
		`"/a" = 3`:                         "a mount is",
		`"/a" = { perm = "ro" }`:           "mount /a has no root",
		`"/a" = { root = "x", perm = "x"}`: `must be "ro", "rw", "drop" or a list`,
		`"/a" = { root = "x", prm = "ro"}`: "did you mean perm?",
		`"/a" = { root = "x", quota = -1}`: "must be a number of bytes",
		`"/a" = "zip:{user}:ro"`:           "{user} is possible only in the path of a directory or of a bucket",
		`"/a" = "x"` + "\n" + `"/a" = "y"`: "not valid TOML",
	} {
		cf := parsedMounts(t, "[users.a]\npassword = \"p\"\n[users.a.mounts]\n"+line+"\n")
		if len(cf.Problems) != 1 || !strings.Contains(cf.Problems[0].Error(), want) || !strings.Contains(cf.Problems[0].Error(), "m.toml:4") && !strings.Contains(line, "\n") {
			t.Errorf("%s: %v, want %q", line, cf.Problems, want)
		}
	}
	cf := parsedMounts(t, "[users.a]\npassword = \"p\"\nmounts = \"x\"\n[groups.g]\nmounts = 3\n")
	if len(cf.Problems) != 2 || !strings.Contains(cf.Problems[0].Error(), "is a table") {
		t.Errorf("mounts that are no table: %v", cf.Problems)
	}
	var many strings.Builder
	for i := range maxMounts + 1 {
		fmt.Fprintf(&many, "\"/m%d\" = \"x\"\n", i)
	}
	cf = parsedMounts(t, "[users.a]\npassword = \"p\"\n[users.a.mounts]\n"+many.String())
	if len(cf.Problems) != 1 || !strings.Contains(cf.Problems[0].Error(), "at most 100") {
		t.Errorf("too many mounts: %v", cf.Problems)
	}
}

// TestMountMistakesOfGroups: a mistake in the mounts of a group is found once, whether its users are in the configuration, external,
// or both.
func TestMountMistakesOfGroups(t *testing.T) {
	var many strings.Builder
	for i := range maxMounts + 1 {
		fmt.Fprintf(&many, "\"/m%d\" = \"/x\"\n", i)
	}
	const auth = "[auth]\nsources = [\"file\", \"exec:/bin/true\"]\n"
	const alice, bob = "[users.alice]\npassword = \"p\"\ngroup = \"g\"\n", "[users.bob]\npassword = \"p\"\ngroup = \"g\"\n"
	for _, tt := range []struct{ mounts, want string }{
		{"\"/in\" = { perm = \"rw\" }\n", "m.toml:2: WHO: mount /in has no root"},
		{"\"/in\" = \"zip:/x/{user}.zip\"\n", "m.toml:2: WHO: mount /in: root zip:/x/{user}.zip: {user} is possible only in the path of a directory or of a bucket"},
		{many.String(), "m.toml:102: WHO: there are 101 mounts, but at most 100 are possible"},
		{"\"/in\" = { root = 3 }\n", "m.toml:2: groups.g.mounts./in.root: must be a text"},
		{"\"/in\" = \"/x/{user}:rw\"\n", ""},
	} {
		for users, who := range map[string]string{alice: "user alice", alice + bob: "user alice", auth: "users of --auth in group g", alice + auth: "user alice", auth + bob: "user bob"} {
			cf := parsedMounts(t, "[groups.g.mounts]\n"+tt.mounts+users)
			want := strings.Replace(tt.want, "WHO", who, 1)
			if n := len(cf.Problems); want == "" && n > 0 || want != "" && (n != 1 || !strings.Contains(cf.Problems[0].Error(), want)) {
				t.Errorf("%s%s%v, want %s", tt.mounts, users, cf.Problems, want)
			}
		}
	}
}

// TestMountWithoutName: a user whose name can't be in the root of a mount can log in without it.
func TestMountWithoutName(t *testing.T) {
	cf := parsedMounts(t, "[users.\".dot\"]\npassword = \"p\"\n[users.\".dot\".mounts]\n\"/a\" = \"/srv/{user}\"\n\"/b\" = \"/srv/{group}\"\n")
	a := cf.User(".dot")
	if len(cf.Problems) > 0 || len(cf.Users) != 1 || len(cf.Trees(a)) != 1 || a.Mounts[0].Rootless() == nil || len(cf.Warnings) < 2 {
		t.Errorf("problems %v, warnings %q, mounts %+v", cf.Problems, cf.Warnings, a.Mounts)
	}
}
