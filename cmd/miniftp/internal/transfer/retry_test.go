package transfer

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// tryTwice runs the program. The server's faults are removed before the first retry.
func tryTwice(t *testing.T, s *ftptest.Server, args ...string) (int, string) {
	t.Helper()
	t.Setenv("NETRC", filepath.Join(t.TempDir(), "none"))
	var out, errs bytes.Buffer
	code := flags.RunWith(t.Context(), verbs, append([]string{"miniftp"}, args...), verb.Stdio{In: strings.NewReader(""), Out: &out, Err: &errs},
		func(int) time.Duration { s.Heal(); return 0 })
	return code, errs.String()
}

// TestRetriesDoNotMixVersions: a retry continues the data of the previous try. It never continues
// an older file, even if that looks like the beginning of the new one.
func TestRetriesDoNotMixVersions(t *testing.T) {
	zeros := make([]byte, 1<<20)
	old := slices.Concat([]byte("old"), zeros)
	current := slices.Concat([]byte("new"), zeros, zeros)
	for name, fault := range map[string]ftptest.Fault{
		"at once":  ftptest.Reply(425, "Not now."),
		"half way": ftptest.ShortAfter(1 << 19),
		"late":     ftptest.ShortAfter(1<<20 + 1000),
	} {
		t.Run(name, func(t *testing.T) {
			for _, j := range []string{"1", "3"} {
				s := verbtest.WithFile(t, current)
				s.Fail("RETR", fault)
				local := filepath.Join(t.TempDir(), "a.bin")
				if err := os.WriteFile(local, old, 0o600); err != nil {
					t.Fatal(err)
				}
				if code, errs := tryTwice(t, s, "get", "-j", j, s.URL+"/a.bin", local); code != 0 {
					t.Errorf("get -j %s: exit %d, %s", j, code, errs)
				}
				if b, err := os.ReadFile(local); err != nil || !bytes.Equal(b, current) {
					t.Errorf("get -j %s: %d bytes that begin with %q, %v", j, len(b), b[:3], err)
				}
			}
			s := verbtest.WithFile(t, old)
			s.Fail("STOR", fault)
			local := filepath.Join(t.TempDir(), "a.bin")
			if err := os.WriteFile(local, current, 0o600); err != nil {
				t.Fatal(err)
			}
			if code, errs := tryTwice(t, s, "put", local, s.URL+"/a.bin"); code != 0 {
				t.Errorf("put: exit %d, %s", code, errs)
			}
			if b := verbtest.ReadFile(t, s.FS, "/a.bin"); !bytes.Equal(b, current) {
				t.Errorf("put: %d bytes that begin with %q", len(b), b[:3])
			}
		})
	}
}

// TestRefusedConnectionIsRetried: a refused connection is retried, because the server may be
// starting.
func TestRefusedConnectionIsRetried(t *testing.T) {
	for retries, want := range map[string]int{"0": 0, "2": 2} {
		code, _, errs := try(t, "get", "--retries", retries, "ftp://127.0.0.1:1/f", t.TempDir())
		if n := strings.Count(errs, "trying again"); code != verb.ExitConnect || n != want {
			t.Errorf("--retries %s: exit %d, %d more tries: %s", retries, code, n, errs)
		}
	}
}
