package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// TestFaultExits: each kind of failure has its exit code and prints one line.
func TestFaultExits(t *testing.T) {
	t.Parallel()
	data := verbtest.Pattern(100_000)
	part := filepath.Join(t.TempDir(), "a.bin")
	if err := os.WriteFile(filepath.Join(filepath.Dir(part), ".a.bin.part"), data[:50_000], 0o600); err != nil {
		t.Fatal(err)
	}
	full := func(*testing.T) []string { return []string{"get", "--retries", "0", "URL/a.bin", "-"} }
	up := func(*testing.T) []string { return []string{"put", "--retries", "0", part, "URL/up.bin"} }
	for _, tt := range []struct {
		name  string
		verb  string
		fault ftptest.Fault
		args  func(*testing.T) []string
		code  int
		says  string
	}{
		{"cut", "RETR", ftptest.CutAfter(50_000), full, verb.ExitIncomplete, "URL/a.bin: "},
		{"short", "RETR", ftptest.ShortAfter(1000), full, verb.ExitIncomplete, "1000 of 100000 bytes, though the server says 226"},
		{"unconfirmed", "RETR", ftptest.LoseReply(), full, verb.ExitIncomplete, "did not confirm"},
		{"stalled", "RETR", ftptest.StallAfter(1000), func(*testing.T) []string {
			return []string{"get", "--retries", "0", "--timeout", "300ms", "URL/a.bin", "-"}
		}, verb.ExitIncomplete, "cut short"},
		{"not resumed", "REST", ftptest.IgnoreREST(), func(*testing.T) []string {
			return []string{"get", "-c", "URL/a.bin", part}
		}, verb.ExitIncomplete, "can't be resumed at byte 50000"},
		{"451", "RETR", ftptest.Reply(451, "Disk trouble."), full, verb.ExitIncomplete, "the server says 451 Disk trouble."},
		{"550", "RETR", ftptest.Reply(550, "No such file."), full, verb.ExitRefused, "URL/a.bin: the server says 550 No such file."},
		{"421", "RETR", ftptest.Reply(421, "Too many users."), full, verb.ExitConnect, "the server says 421 Too many users."},
		{"425", "RETR", ftptest.Reply(425, "Can't open."), full, verb.ExitConnect, "425"},
		{"silence", "USER", ftptest.Silence(), func(*testing.T) []string {
			return []string{"get", "--retries", "0", "--timeout", "300ms", "URL/a.bin", "-"}
		}, verb.ExitConnect, "within 300ms"},
		{"hang up", "USER", ftptest.HangUp(), full, verb.ExitConnect, "the server closed it"},
		{"530", "PASS", ftptest.Reply(530, "No."), full, verb.ExitLogin, "the server says 530 No."},
		{"login 421", "PASS", ftptest.Reply(421, "Later."), full, verb.ExitConnect, "421 Later."},
		{"552", "STOR", ftptest.Reply(552, "Quota."), up, verb.ExitRefused, "URL/up.bin: the server says 552 Quota."},
		{"upload cut", "STOR", ftptest.CutAfter(1000), up, verb.ExitIncomplete, "URL/up.bin: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := verbtest.WithFile(t, data)
			if err := os.WriteFile(part, data, 0o600); tt.args(t)[0] == "put" && err != nil {
				t.Fatal(err)
			}
			srv.Fail(tt.verb, tt.fault)
			args := tt.args(t)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "URL", srv.URL)
			}
			code, _, errs := try(t, args...)
			if code != tt.code || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, strings.ReplaceAll(tt.says, "URL", srv.URL)) {
				t.Errorf("exit %d, want %d: %s", code, tt.code, errs)
			}
		})
	}
}

// offsets returns the arguments of the REST commands, in order.
func offsets(t *testing.T, srv *ftptest.Server) (all []int) {
	t.Helper()
	for _, c := range srv.Commands() {
		if c.Verb == "REST" {
			n, err := strconv.Atoi(c.Arg)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, n)
		}
	}
	return all
}

// TestRetriesResume: a retry continues where the previous try stopped.
func TestRetriesResume(t *testing.T) {
	data := verbtest.Pattern(1_000_000)
	srv := verbtest.WithFile(t, data)
	local := filepath.Join(t.TempDir(), "copy")

	srv.Fail("RETR", ftptest.CutAfter(300_000))
	code, _, errs := try(t, "get", "--retries", "200", srv.URL+"/a.bin", local)
	got, err := os.ReadFile(local)
	if code != 0 || err != nil || !bytes.Equal(got, data) {
		t.Fatalf("exit %d, %v, %d bytes: %s", code, err, len(got), errs)
	}
	if at := offsets(t, srv); len(at) < 3 || !slices.IsSorted(at) || at[0] < 1 {
		t.Errorf("it resumed at %v", at)
	}
	if tries := strings.Count(errs, "; trying again in 0s\n"); tries < 3 || tries != strings.Count(errs, "\n") ||
		tries != strings.Count(errs, "miniftp: "+srv.URL+"/a.bin: ") {
		t.Errorf("it prints %s", errs)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(local), ".copy.part")); err == nil {
		t.Error("the partial download still exists")
	}

	code, out, errs := try(t, "cat", "-q", "--retries", "200", srv.URL+"/a.bin")
	if code != 0 || errs != "" || out != string(data) {
		t.Errorf("cat: exit %d, %d bytes: %s", code, len(out), errs)
	}

	srv.Heal()
	srv.Fail("STOR", ftptest.CutAfter(300_000))
	code, _, errs = try(t, "put", "-q", "--retries", "200", local, srv.URL+"/up.bin")
	if code != 0 || !bytes.Equal(verbtest.ReadFile(t, srv.FS, "/up.bin"), data) {
		t.Errorf("put: exit %d: %s", code, errs)
	}
}

// TestRetryComparesOutput: output can't be taken back. If a server ignores REST, a retry must not
// write the beginning a second time.
func TestRetryComparesOutput(t *testing.T) {
	data := verbtest.Pattern(1_000_000)
	srv := verbtest.WithFile(t, data)
	srv.Fail("RETR", ftptest.CutAfter(300_000))
	srv.Fail("REST", ftptest.IgnoreREST())
	code, out, errs := try(t, "cat", "-q", "--retries", "200", srv.URL+"/a.bin")
	if code != verb.ExitIncomplete || !strings.Contains(errs, "can't be resumed") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if !strings.HasPrefix(string(data), out) || len(out) == 0 {
		t.Errorf("the output of %d bytes is not the beginning of the file", len(out))
	}

	// Text has different lengths on both sides, so that no offset to resume at is known.
	srv.Heal("REST")
	code, _, errs = try(t, "cat", "--ascii", srv.URL+"/a.bin")
	if code != verb.ExitIncomplete || strings.Contains(errs, "trying again") {
		t.Errorf("ascii: exit %d: %s", code, errs)
	}
}

// TestStdinIsSentOnce: put - does not retry, because standard input can't be read twice.
func TestStdinIsSentOnce(t *testing.T) {
	srv := verbtest.WithFile(t, nil)
	srv.Fail("STOR", ftptest.LoseReply())
	code, _, errs := try(t, "put", "-", srv.URL+"/in.txt")
	if code != verb.ExitIncomplete || strings.Contains(errs, "trying again") {
		t.Errorf("exit %d: %s", code, errs)
	}
	srv.Heal()
	if code, _, errs := try(t, "put", "-", srv.URL+"/in.txt"); code != 0 || string(verbtest.ReadFile(t, srv.FS, "/in.txt")) != "from stdin" {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// TestHashReads: if the server can't compute a hash, the file is read.
func TestHashReads(t *testing.T) {
	data := verbtest.Pattern(100_000)
	sum := sha256.Sum256(data)
	want := hex.EncodeToString(sum[:]) + "  a.bin\n"
	srv := verbtest.WithFile(t, data)
	for _, verbs := range [][]string{nil, {"FEAT"}, {"HASH"}, {"FEAT", "HASH", "XSHA256"}, {"OPTS", "HASH"}} {
		srv.Heal()
		for _, v := range verbs {
			srv.Fail(v, ftptest.Refuse())
		}
		code, out, errs := try(t, "hash", srv.URL+"/a.bin")
		if code != 0 || out != want || errs != "" {
			t.Errorf("without %v: exit %d, %q: %s", verbs, code, out, errs)
		}
	}
	srv.Heal()
	srv.Fail("HASH", ftptest.Refuse())
	if _, out, _ := try(t, "hash", "--json", srv.URL+"/a.bin"); !strings.Contains(out, `"by": "client"`) {
		t.Errorf("it prints %s", out)
	}
}

// TestShutdownKeepsTransfer: a 421 after a complete transfer does not make it fail.
func TestShutdownKeepsTransfer(t *testing.T) {
	srv := verbtest.WithFile(t, verbtest.Pattern(1000))
	dir := t.TempDir()
	if code, _, errs := try(t, "get", srv.URL+"/a.bin", dir); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	srv.Fail("SIZE", ftptest.Reply(421, "The server is shutting down."))
	if code, _, errs := try(t, "put", filepath.Join(dir, "a.bin"), srv.URL+"/b.bin"); code != 0 || errs != "" {
		t.Errorf("exit %d: %s", code, errs)
	}
}
