package transfer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// TestOldServers runs the verbs against servers that support nothing newer than RFC 959 of 1985.
func TestOldServers(t *testing.T) {
	refuse := []string{"FEAT", "EPSV", "EPRT", "MLSD", "MLST", "SIZE", "MDTM", "MFMT", "OPTS", "HASH"}
	for name, tt := range map[string]struct {
		faults map[string]ftptest.Fault
		args   []string
	}{
		"nothing newer": {nil, nil},
		"active":        {nil, []string{"--active"}},
		"no REST":       {map[string]ftptest.Fault{"REST": ftptest.Refuse()}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := ftptest.NewServer(t, nil)
			want := verbtest.Forest(t, s.FS, "/tree", 10)
			for _, verb := range refuse {
				s.Fail(verb, ftptest.Refuse())
			}
			for verb, f := range tt.faults {
				s.Fail(verb, f)
			}
			dir := t.TempDir()
			with := func(verb string, more ...string) []string { return append(append([]string{verb}, tt.args...), more...) }
			if code, _, errs := try(t, with("get", "-r", s.URL+"/tree", dir+"/copy")...); code != 0 {
				t.Errorf("get: exit %d, %s", code, errs)
			}
			verbtest.HoldsAll(t, afero.NewOsFs(), dir+"/copy", want)
			if code, _, errs := try(t, with("put", "-r", dir+"/copy", s.URL+"/back")...); code != 0 {
				t.Errorf("put: exit %d, %s", code, errs)
			}
			verbtest.HoldsAll(t, s.FS, "/back", want)
			if code, out, errs := try(t, with("ls", s.URL+"/tree")...); code != 0 || out != "d0/\nd1/\nd2/\n" {
				t.Errorf("ls: exit %d, %q, %s", code, out, errs)
			}
			if code, _, errs := try(t, with("rm", "-r", s.URL+"/back")...); code != 0 {
				t.Errorf("rm: exit %d, %s", code, errs)
			}
		})
	}
}

// TestAccount: the account for ACCT comes from --account, and is masked.
func TestAccount(t *testing.T) {
	h := verbtest.NewHostile(t, func(h *verbtest.Hostile) {
		h.Feat = ""
		h.On["PASS"] = func(c *verbtest.Victim, _ string) { c.Say("332 and the account?") }
		h.On["ACCT"] = func(c *verbtest.Victim, arg string) {
			if arg == "books" {
				c.Say("230 in")
				return
			}
			c.Say("530 no")
		}
	})
	url := "ftp://bob:b@" + h.Addr + "/f"
	if code, out, errs := try(t, "cat", "--account", "books", url); code != 0 || out != "content" {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
	if code, _, errs := try(t, "cat", "-v", "--account", "secret-books", url); code != verb.ExitLogin || strings.Contains(errs, "secret-books") {
		t.Errorf("another account: exit %d, %s", code, errs)
	}
	if code, _, errs := try(t, "cat", url); code != verb.ExitLogin || !strings.Contains(errs, "give it with --account") {
		t.Errorf("no account: exit %d, %s", code, errs)
	}
}

// TestInterruptedWithMany: an interrupt ends all connections at once, even if the server does not
// answer. The exit code is 130, and the partial downloads can be resumed.
func TestInterruptedWithMany(t *testing.T) {
	verbtest.Long(t)
	for _, silent := range []bool{false, true} {
		s := ftptest.NewServer(t, nil)
		for _, name := range []string{"/a", "/b", "/c"} {
			if err := afero.WriteFile(s.FS, name, verbtest.Pattern(200_000), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s.Fail("RETR", ftptest.StallAfter(100_000))
		if silent {
			s.Fail("ABOR", ftptest.Silence())
			s.Fail("QUIT", ftptest.Silence())
		}
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan int)
		t.Setenv("NETRC", filepath.Join(dir, "none"))
		go func() {
			ended <- flags.Run(ctx, verbs, []string{"miniftp", "get", "-j", "3", s.URL + "/[abc]", dir}, verb.Stdio{In: strings.NewReader(""), Out: discard{}, Err: discard{}})
		}()
		part := func(name string) int64 {
			info, err := os.Stat(filepath.Join(dir, "."+name+".part"))
			if err != nil {
				return 0
			}
			return info.Size()
		}
		limit := time.Now().Add(20 * time.Second)
		for part("a") < 100_000 || part("b") < 100_000 || part("c") < 100_000 {
			if time.Now().After(limit) {
				t.Fatal("no data arrives")
			}
		}
		cancel()
		began := time.Now()
		if code := <-ended; code != verb.ExitInterrupted {
			t.Errorf("exit %d", code)
		}
		t.Logf("silent server: %v; the interrupt took %v", silent, time.Since(began))
		for _, name := range []string{"a", "b", "c"} {
			if n := part(name); n < 100_000 {
				t.Errorf("%s: only %d bytes in the partial download", name, n)
			}
		}
		s.Heal()
		if code, _, errs := try(t, "get", "-c", s.URL+"/[abc]", dir); code != 0 {
			t.Errorf("exit %d, %s", code, errs)
		}
		if !slices.Equal(verbtest.ReadFile(t, afero.NewOsFs(), dir+"/a"), verbtest.Pattern(200_000)) {
			t.Error("a differs")
		}
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
