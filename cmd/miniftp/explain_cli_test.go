package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
)

// TestExplainFile: --explain=FILE writes the drawing to the file instead of the terminal, without
// passwords. An error in writing it is reported.
func TestExplainFile(t *testing.T) {
	s := verbtest.WithFile(t, verbtest.Pattern(50_000))
	dir := t.TempDir()
	withLogin := strings.Replace(s.URL, "//", "//anonymous:hunter2@", 1)
	for _, name := range []string{"a.svg", "b.html"} {
		file := filepath.Join(dir, name)
		code, _, errs := try(t, "get", "-j", "2", "--explain="+file, withLogin+"/a.bin", withLogin+"/nope", dir+"/")
		if code != verb.ExitRefused || strings.Contains(errs, "listens") {
			t.Errorf("%s: exit %d, %s", name, code, errs)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for _, want := range []string{"miniftp get -j 2 ", "ftp://anonymous:****@", "RETR", "listens :", "50 kB in ", "550 /nope"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not contain %q:\n%s", name, want, text)
			}
		}
		if strings.Contains(text, "hunter2") || strings.HasPrefix(text, "<!doctype html>") != (name == "b.html") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
	s.Fail("RETR", ftptest.Reply(425, "No call came."))
	if code, _, errs := try(t, "get", "--retries", "0", "--explain="+dir+"/no/a.svg", s.URL+"/a.bin", "-"); code == 0 || !strings.Contains(errs, "425") {
		t.Errorf("exit %d, %s", code, errs)
	}
	s.Heal("RETR")
	if code, _, errs := try(t, "get", "--explain="+dir+"/no/a.svg", s.URL+"/a.bin", dir+"/"); code != verb.ExitLocal || !strings.Contains(errs, "no/a.svg: no such file or directory") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if code, _, errs := try(t, "get", "--explain=a.png", s.URL+"/a.bin", "-"); code != verb.ExitUsage || !strings.Contains(errs, "FILE.svg") {
		t.Errorf("exit %d, %s", code, errs)
	}
	file := filepath.Join(dir, "demo.svg")
	if code, _, errs := try(t, "demo", "--explain="+file); code != 0 {
		t.Errorf("demo: exit %d, %s", code, errs)
	}
	b, _ := os.ReadFile(file)
	if text := verbtest.Words(t, string(b)); !strings.Contains(text, "passive mode\n") || !strings.Contains(text, "active mode\n") {
		t.Errorf("demo draws\n%s", text)
	}
}

// TestLadderOfNoServer: a server that can't be reached is drawn at each try, also for copy.
func TestLadderOfNoServer(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	addr := ftptest.ClosedPort(t).String()
	for _, args := range [][]string{
		{"get", "--explain", "--retries", "1", "ftp://" + addr + "/a", t.TempDir()},
		{"shell", "--explain", "-c", "ls", "ftp://" + addr + "/"},
		{"copy", "--explain", "--retries", "1", "ftp://" + addr + "/a", "ftp://" + addr + "/b"},
	} {
		code, _, errs := try(t, args...)
		drawn := 0
		for line := range strings.Lines(errs) {
			if strings.HasPrefix(line, "control") && strings.Contains(line, "✗") && strings.Contains(line, "connection refused") {
				drawn++
			}
		}
		if code != verb.ExitConnect || drawn == 0 || strings.Count(errs, "you (client)") != 1 {
			t.Errorf("%s: exit %d, %d rungs\n%s", args[0], code, drawn, errs)
		}
	}
}
