package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// TestRecord: a session is recorded without its password. When the recording is played back as the
// server, the program behaves the same again.
func TestRecord(t *testing.T) {
	for name, tt := range map[string]struct {
		args   func(url string) []string
		faults func(s *ftptest.Server)
		code   int
	}{
		"get":         {args: func(url string) []string { return []string{"get", url + "/a.bin", "-"} }},
		"get, active": {args: func(url string) []string { return []string{"get", "--active", url + "/a.bin", "-"} }},
		"pasv and port": {
			args:   func(url string) []string { return []string{"get", url + "/a.bin", "-"} },
			faults: func(s *ftptest.Server) { s.Fail("EPSV", ftptest.Refuse()) },
		},
		"ls":     {args: func(url string) []string { return []string{"ls", "-l", url + "/"} }},
		"ls old": {args: func(url string) []string { return []string{"ls", "-l", url + "/"} }, faults: func(s *ftptest.Server) { s.Fail("FEAT", ftptest.Refuse()) }},
		"put":    {args: func(url string) []string { return []string{"put", "-", url + "/b"} }},
		"nothing there": {
			args: func(url string) []string { return []string{"get", url + "/nope", "-"} }, code: verb.ExitRefused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := verbtest.WithFile(t, make([]byte, 70_000), ftptest.WithUser("bob", "hunter2", server.ReadWrite))
			if tt.faults != nil {
				tt.faults(s)
			}
			t.Setenv("MINIFTP_PASSWORD", "hunter2")
			record := func(addr, file string) (code int, out string) {
				args := tt.args("ftp://bob@" + addr)
				args = append([]string{args[0], "--record", file, "--retries", "0"}, args[1:]...)
				code, out, errs := try(t, args...)
				if code != tt.code {
					t.Errorf("exit %d, %s", code, errs)
				}
				return code, out
			}
			dir := t.TempDir()
			first := filepath.Join(dir, "first")
			_, want := record(s.Addr, first)
			text, err := os.ReadFile(first)
			if err != nil || strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), "C: PASS …\n") {
				t.Fatalf("%v\n%s", err, text)
			}
			script, err := ftptest.ReadScript("first", text)
			if err != nil {
				t.Fatal(err)
			}
			err = ftptest.PlayClient(script, func(addr string, _ []string) error {
				if _, got := record(addr, filepath.Join(dir, "again")); got != want {
					return fmt.Errorf("it prints %d bytes, want %d", len(got), len(want))
				}
				return nil
			})
			if err != nil {
				t.Errorf("%v\n%s", err, text)
			}
			again, err := os.ReadFile(filepath.Join(dir, "again"))
			_, a, _ := strings.Cut(string(text), "\n")
			_, b, _ := strings.Cut(string(again), "\n")
			if err != nil || a != b {
				t.Errorf("%v: the recordings differ:\n%s\n%s", err, a, b)
			}
		})
	}
}

// TestRecordSeveral: each control connection is recorded in its own file.
func TestRecordSeveral(t *testing.T) {
	a, b := verbtest.WithFile(t, verbtest.Pattern(1000)), verbtest.WithFile(t, verbtest.Pattern(2000))
	file := filepath.Join(t.TempDir(), "r")
	if code, _, errs := try(t, "cat", "--record", file, a.URL+"/a.bin", b.URL+"/a.bin"); code != 0 {
		t.Fatalf("exit %d, %s", code, errs)
	}
	for name, want := range map[string]string{file: "B: 1000\n", file + ".2": "B: 2000\n"} {
		if b, err := os.ReadFile(name); err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
}
