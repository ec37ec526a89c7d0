//go:build unix

package serve

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestExpiredTakesAsLong: with --auth, the right password of an account that has expired takes as long as a wrong one, which is at
// least a second, and gets the same reply. Only the log has the reason.
func TestExpiredTakesAsLong(t *testing.T) {
	t.Parallel()
	program := checker(t, accepts("bob", `{"expires":"2020-01-01"}`)+"\n"+isUnknown)
	file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "m.toml"), "root = \"mem://\"\n[limits]\nfailure-delay = 0\n[auth]\nsources = [\"file\", \"exec:"+program+"\"]\n[users.al]\npassword = \"pw\"\nexpires = \"2020-01-01\"\n")
	p := verbtest.Serve(t, verbs, "--config", file, "--log-format", "text")
	for _, user := range []string{"bob", "al"} {
		start := time.Now()
		out, err := curlAs(t, p.Addr, user, "-v", "ADDR/")
		if took := time.Since(start); err == nil || !strings.Contains(out, "< 530 Login incorrect.") || took < time.Second {
			t.Errorf("%s: %v after %v:\n%s", user, err, took, out)
		}
	}
	p.End()
	if log := p.Log.String(); strings.Count(log, "login incorrect: the account has expired") != 2 || !strings.Contains(log, "option=users.expires") {
		t.Errorf("the log:\n%s", log)
	}
}
