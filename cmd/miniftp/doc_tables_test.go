package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// rows returns the rows of the table between the markers with that name in a document. The cells are
// unparsed.
func rows(t *testing.T, doc, mark string) (table [][]string) {
	t.Helper()
	text, err := os.ReadFile(verbtest.InModule(doc))
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), "<!-- "+mark+": begin -->\n")
	part, _, _ = strings.Cut(part, "<!-- "+mark+": end -->")
	columns := 0
	for i, line := range strings.Split(strings.TrimSpace(part), "\n") {
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), " |"), " |")
		switch {
		case i == 0: // the heading
			columns = len(cells)
		case len(cells) != columns && i > 1:
			t.Fatalf("%s: a row of %d cells: %s", doc, len(cells), line)
		case i > 1:
			table = append(table, cells)
		}
	}
	if len(table) < 10 {
		t.Fatalf("%s: only %d rows were found", doc, len(table))
	}
	return table
}

// code matches the code in a cell.
var code = regexp.MustCompile("`([^`]+)`")

// TestFromLftp runs each row of docs/from-lftp.md with lftp and with miniftp, each against a server
// with the same files, and compares the files on both sides afterwards.
func TestFromLftp(t *testing.T) {
	lftp := verbtest.StockProgram(t, "lftp")
	verbtest.Program(t)
	for _, row := range rows(t, "docs/from-lftp.md", "rows") {
		theirs, ours := code.FindStringSubmatch(row[1])[1], code.FindStringSubmatch(row[2])[1]
		t.Run(strings.TrimSpace(row[0]), func(t *testing.T) {
			t.Parallel()
			a := newSwitcher(t)
			b := newSwitcher(t)
			saidA := a.run(exec.CommandContext(t.Context(), lftp, "-c", "set net:max-retries 2; open "+a.url+"; "+theirs))
			saidB := b.run(exec.CommandContext(t.Context(), "sh", "-c", "U="+b.url+"; "+ours))
			if one, two := strings.Join(verbtest.Files(t, a.dir), "\n"), strings.Join(verbtest.Files(t, b.dir), "\n"); one != two {
				t.Errorf("%s leaves\n%s\n%s leaves\n%s", theirs, one, ours, two)
			}
			for _, name := range verbtest.Files(t, a.dir) {
				one, _ := os.ReadFile(filepath.Join(a.dir, name))
				two, _ := os.ReadFile(filepath.Join(b.dir, name))
				if string(one) != string(two) {
					t.Errorf("%s: %d bytes by %s, %d by %s", name, len(one), theirs, len(two), ours)
				}
			}
			if changes := regexp.MustCompile(`^(cls|ls|find|cat|mirror --dry-run)`); changes.MatchString(theirs) && (saidA == "" || saidB == "") {
				t.Errorf("printed by lftp %q, by miniftp %q", saidA, saidB)
			}
		})
	}
}

// TestFromLftpSettings gives each setting in docs/from-lftp.md to lftp and each flag to miniftp. Neither may
// report that it does not know it.
func TestFromLftpSettings(t *testing.T) {
	lftp := verbtest.StockProgram(t, "lftp")
	pin, dir := strings.Repeat("00", 32), t.TempDir()
	settings := rows(t, "docs/from-lftp.md", "settings")
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	t.Setenv("NETRC", filepath.Join(dir, ".netrc"))
	verbtest.CertFile(t, filepath.Join(dir, "ca.pem"), "ftp.example.org")
	verbtest.WriteFile(t, filepath.Join(dir, ".netrc"), "machine 127.0.0.1 login alice password secret\n")
	for _, row := range settings {
		if setting := code.FindStringSubmatch(row[0])[1]; strings.HasPrefix(setting, "set ") || strings.HasPrefix(setting, "debug ") {
			if out, err := exec.CommandContext(t.Context(), lftp, "-c", setting).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("lftp rejects %q: %v: %s", setting, err, out)
			}
		}
		for _, m := range code.FindAllStringSubmatch(row[1], -1) {
			if !strings.HasPrefix(m[1], "-") {
				continue
			}
			args := append([]string{"cat"}, strings.Fields(strings.ReplaceAll(m[1], "…", pin))...)
			if exit, _, errs := try(t, append(args, "ftp://127.0.0.1:1/x")...); exit == verb.ExitUsage || exit == 0 {
				t.Errorf("%q: exit %d: %s", args, exit, errs)
			}
		}
	}
}

// TestFromJlaffaye checks that the names in the table of docs/from-jlaffaye.md exist. Tests of ftp/client and
// testdata/jlaffaye compile the Go code of that page.
func TestFromJlaffaye(t *testing.T) {
	api, err := os.ReadFile(verbtest.InModule("testdata/api/ftp.client.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows(t, "docs/from-jlaffaye.md", "names") {
		for _, m := range code.FindAllStringSubmatch(row[1], -1) {
			name, _, _ := strings.Cut(m[1], "(")
			if strings.HasPrefix(name, "*") || strings.HasPrefix(name, "errors.") || strings.HasPrefix(name, "fs.") {
				continue // of other packages
			}
			name = name[strings.LastIndex(name, ".")+1:]
			if !regexp.MustCompile(`\b` + name + `\b`).Match(api) {
				t.Errorf("%s: ftp/client has no %s", row[0], name)
			}
		}
	}
}

// switcher is a user of one of the two programs: a server and a directory.
type switcher struct {
	t        *testing.T
	dir, url string
}

func newSwitcher(t *testing.T) *switcher {
	s := &switcher{t: t, dir: t.TempDir()}
	when := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	for name, size := range map[string]int{
		"srv/report.pdf": 2_100_000, "srv/hello.txt": 14, "srv/partial.pdf": 100_000, "srv/photos/001.jpg": 4800, "srv/photos/002.jpg": 5100,
		"srv/in/old.pdf": 10, "work/partial.pdf": 40_000, "work/scan.pdf": 12_000, "work/a.txt": 1, "work/b.txt": 2, "work/local/c/d.txt": 3,
		"work/old/001.jpg": 7, "work/old/gone.jpg": 7, "work/archive/x": 1,
	} {
		name = filepath.Join(s.dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, verbtest.Pattern(size), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, when, when); err != nil {
			t.Fatal(err)
		}
	}
	server := verbtest.StartServer(t, filepath.Join(s.dir, "srv"), "--user", "alice:secret")
	s.url = "ftp://alice:secret@" + server.Addr
	return s
}

func (s *switcher) run(cmd *exec.Cmd) string {
	cmd.Dir = filepath.Join(s.dir, "work")
	cmd.Env = append(os.Environ(), "HOME="+s.t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Errorf("%q: %v: %s", cmd.Args, err, out)
	}
	return string(out)
}

// TestFromVsftpd checks each row of docs/from-vsftpd.md: the line with vsftpd, the keys with config
// check.
func TestFromVsftpd(t *testing.T) {
	vsftpd := verbtest.StockProgram(t, "vsftpd")
	dir := t.TempDir()
	verbtest.CertFile(t, filepath.Join(dir, "cert.pem"), "ftp.example.org")
	verbtest.WriteFile(t, filepath.Join(dir, "users"), "alice:secret\n")
	for _, row := range rows(t, "docs/from-vsftpd.md", "rows") {
		line := code.FindStringSubmatch(row[0])[1]
		conf := verbtest.WriteFile(t, filepath.Join(dir, "vsftpd.conf"), line+"\nlisten=NO\nlisten_ipv6=NO\n")
		// Without a socket as standard input vsftpd fails, but it reports an unknown line before that.
		out, _ := exec.CommandContext(t.Context(), vsftpd, conf).CombinedOutput()
		if s := string(out); strings.Contains(s, "unrecognised") || strings.Contains(s, "bad bool") || strings.Contains(s, "bad parameter") {
			t.Errorf("vsftpd rejects %q: %s", line, out)
		}
		var keys []string
		for _, m := range code.FindAllStringSubmatch(row[1], -1) {
			keys = append(keys, m[1])
		}
		if len(keys) == 0 {
			continue
		}
		config := verbtest.WriteFile(t, filepath.Join(dir, "miniftp.toml"), strings.ReplaceAll(strings.Join(keys, "\n"), "/srv/ftp", filepath.ToSlash(dir))+"\n")
		if code, _, errs := verbtest.Run(t, verbs, "config", "check", config); code != 0 {
			t.Errorf("%s: miniftp.toml with %q: exit %d: %s", line, keys, code, errs)
		}
	}
}
