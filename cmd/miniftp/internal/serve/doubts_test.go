package serve

import (
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/server"
)

// TestAcceptUpload: a user's accept-upload adds to --accept-upload, and misspelled words are mistakes.
func TestAcceptUpload(t *testing.T) {
	roots := newRoots(t.Context())
	defer roots.end()
	cf := parsed(t, "--listen", ":0", "--user", "cam:x", "--accept-upload", "hang-up")
	cf.User("cam").Accept = []string{"no-close-notify"}
	users := cf.static(roots, map[string]bool{})
	if got := users["cam"].Account.Accept; got != server.DoubtHangUp|server.DoubtNoCloseNotify {
		t.Errorf("cam: %v", got)
	}
	for _, tt := range []struct {
		words string
		bad   bool
	}{{"hang-up", false}, {"hang-up, no-close-notify", false}, {"", true}, {"hangup", true}, {"hang-up,", true}, {"true", true}} {
		all := parsed(t, "--accept-upload", tt.words)
		one := problemsOf(t, "[users.a]\npassword = \"p\"\naccept-upload = \""+tt.words+"\"")
		if len(all.Problems) > 0 != tt.bad || len(one) > 0 != tt.bad {
			t.Errorf("%q: %v, %v", tt.words, all.Problems, one)
		}
	}
}

// TestMistakesNameTheirSetting: an error names the setting that is wrong.
func TestMistakesNameTheirSetting(t *testing.T) {
	for flag, want := range map[string]string{
		"--accept-upload x": `--accept-upload "x": must be hang-up or no-close-notify`,
		"--max-hashes -1":   "--max-hashes -1: must not be negative; 0 means half of the processors",
	} {
		args := append([]string{"serve", "--listen", "127.0.0.1:0"}, strings.Fields(flag)...)
		if code, _, errs := try(t, append([]string{"config", "show"}, args[1:]...)...); code != verb.ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("config show %s: exit %d, %s", flag, code, errs)
		}
		if code, _, errs := try(t, args...); code != verb.ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %s", flag, code, errs)
		}
	}
}

// TestMistakesInFlags: all mistakes in flags are reported at once, each in one line.
func TestMistakesInFlags(t *testing.T) {
	for flag, want := range map[string][]string{
		"--users-file none --tls x --max-sessions -1": {"none: no such file", `--tls "x": must be off`, "--max-sessions -1: "},
		"--port 70000":                  {"--port 70000: must be a port number"},
		"--user x --greeting= --deny x": {"--user takes NAME:PASSWORD", `--deny "x" is not a network`},
	} {
		for _, v := range [][]string{{"serve"}, {"config", "show"}} {
			code, _, errs := try(t, append(v, strings.Fields(flag)...)...)
			if code == verb.ExitOK || strings.Count(errs, "\n") != len(want) {
				t.Errorf("%s %s: exit %d, %s", v, flag, code, errs)
			}
			for _, w := range want {
				if !strings.Contains(errs, w) {
					t.Errorf("%s %s: no %q in %s", v, flag, w, errs)
				}
			}
		}
	}
}
