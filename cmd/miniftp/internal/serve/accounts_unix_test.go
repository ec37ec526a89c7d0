//go:build unix

package serve

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestExpires: a user can log in on the last day, and not after it. The log has the reason and the setting, and config check warns.
func TestExpires(t *testing.T) {
	dir := t.TempDir()
	today := time.Now().Format(time.DateOnly)
	file := verbtest.WriteFile(t, filepath.Join(dir, "m.toml"), fmt.Sprintf(`
root = "mem://"
[users.today]
password = "pw"
expires = %s
[users.past]
password = "pw"
expires = 2020-01-31
[users.zoned]
password = "pw"
expires = 2020-01-31T12:00:00Z
[users.local]
password = "pw"
expires = "2020-01-31 12:00:00"
`, today))
	p := verbtest.Serve(t, verbs, "--config", file, "--failure-delay", "0", "--log-format", "text")
	codes := map[string]string{}
	for _, user := range []string{"today", "past", "zoned", "local"} {
		_, err := curlAs(t, p.Addr, user, "ADDR/")
		codes[user] = fmt.Sprint(err)
	}
	if time.Now().Format(time.DateOnly) == today && codes["today"] != "<nil>" {
		t.Errorf("today: %s", codes["today"])
	}
	for _, user := range []string{"past", "zoned", "local"} {
		if !strings.Contains(codes[user], "67") { // curl: login denied
			t.Errorf("%s: %s", user, codes[user])
		}
	}
	if log := p.Log.String(); strings.Count(log, `option=users.expires`) != 3 || !strings.Contains(log, "the account has expired") {
		t.Errorf("the log says\n%s", log)
	}
	_, _, errs := verbtest.Run(t, verbs, "config", "check", file)
	if strings.Count(errs, "the account has expired: logins are refused") != 3 || !strings.Contains(errs, "m.toml:8: user past") {
		t.Errorf("config check says\n%s", errs)
	}
	_, out, _ := verbtest.Run(t, verbs, "config", "show", "--config", file)
	if !strings.Contains(out, "2020-01-31T12:00:00Z") {
		t.Errorf("config show says\n%s", out)
	}
	for _, bad := range []string{`"soon"`, `2020`, `"2020-01-31\nx=1"`, `12:00:00`} {
		code, _, errs := verbtest.Run(t, verbs, "config", "check", verbtest.WriteFile(t, filepath.Join(dir, "bad.toml"), "[users.a]\npassword = 'x'\nexpires = "+bad+"\n"))
		if code != 2 || !strings.Contains(errs, "bad.toml:3: users.a.expires: must be a date") {
			t.Errorf("%s: exit %d: %s", bad, code, errs)
		}
	}
}
