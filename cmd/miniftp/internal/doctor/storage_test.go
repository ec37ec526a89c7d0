package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/fsroot"
	"miniftp/fsroot/fstest"
	"miniftp/internal/s3peer"
)

// storageRun runs doctor for a storage.
func storageRun(t *testing.T, ctx context.Context, args ...string) (exit int, stdout, stderr string) { //nolint:revive // t first
	t.Helper()
	var out, errs bytes.Buffer
	exit = flags.Run(ctx, verbs, append([]string{"miniftp", "doctor"}, args...), verb.Stdio{In: strings.NewReader(""), Out: &out, Err: &errs})
	return exit, out.String(), errs.String()
}

// noRename is a storage without rename, and cutting one that loses the last byte of a file.
type (
	noRename  struct{ afero.Fs }
	cutting   struct{ afero.Fs }
	cutFile   struct{ afero.File }
	untruthed struct{ afero.Fs }
)

func (noRename) Rename(string, string) error { return errors.ErrUnsupported }

func (c cutting) OpenFile(name string, flag int, perm fs.FileMode) (afero.File, error) {
	f, err := c.Fs.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return cutFile{f}, nil
}

func (f cutFile) Write(b []byte) (int, error) {
	_, err := f.File.Write(b[:len(b)-1])
	return len(b), err
}

func (untruthed) Chmod(string, fs.FileMode) error { return nil }

// addScheme adds a storage for a test.
func addScheme(t *testing.T, name string, fsys afero.Fs) {
	t.Helper()
	was := storage.Schemes
	t.Cleanup(func() { storage.Schemes = was })
	storage.Schemes = append(slices.Clone(was), storage.Scheme{
		Name: name, Form: name + "://", Writable: true, Lasts: true,
		Open: func(context.Context, string, storage.Use) (afero.Fs, io.Closer, error) {
			return fsys, io.NopCloser(nil), nil
		},
	})
}

func TestDoctorStorages(t *testing.T) {
	dir := t.TempDir()
	addScheme(t, "norename", noRename{fsroot.NewMem()})
	addScheme(t, "cutting", cutting{fsroot.NewMem()})
	addScheme(t, "nochmod", untruthed{fsroot.NewMem()})
	addScheme(t, "readonly", fsroot.ReadOnly(fsroot.NewMem()))
	for _, tt := range []struct {
		args []string
		exit int
		want []string
	}{
		{[]string{dir}, verb.ExitOK, []string{"  yes    write a file  ", "uploads of its own: not needed", "\nA server can use it.\nUse:  miniftp serve " + dir + "\n"}},
		{[]string{"mem://"}, verb.ExitOK, []string{"\nA server can use it.\nUse:  miniftp serve mem://\n"}},
		{[]string{"--read-only", dir}, verb.ExitOK, []string{"  -      read a file", "Downloads were not tried: there is no file that is not empty. Writing was not tried (--read-only)."}},
		{[]string{"norename://"}, verb.ExitOK, []string{"rename a file, rename replaces a file, rename without replacing: ", "visible while it runs", "RNTO is refused with 504", "uploads of its own: uploads are written to their final names.", "A server can use it."}},
		{[]string{"cutting://"}, verb.ExitIncomplete, []string{"  fix ", "WRONG: write a file: uploads fail or are damaged. Measured: ", "\nNo server should use it.\n"}},
		{[]string{"nochmod://"}, verb.ExitOK, []string{"  fix 1  set the mode", "WRONG: set the mode: SITE CHMOD"}},
		{[]string{"readonly://"}, verb.ExitOK, []string{"the storage is read-only", "refused with 550", "A server can list it."}},
	} {
		exit, out, errs := storageRun(t, t.Context(), tt.args...)
		if exit != tt.exit {
			t.Errorf("%q: exit %d: %s", tt.args, exit, errs)
		}
		folded := strings.Join(strings.Fields(out), " ")
		for _, want := range tt.want {
			if !strings.Contains(out, want) && !strings.Contains(folded, want) {
				t.Errorf("%q: no %q in\n%s", tt.args, want, out)
			}
		}
		for line := range strings.Lines(out) {
			if n := term.Cells(strings.TrimSuffix(line, "\n")); n > pageWidth && !strings.HasPrefix(line, "Use:") || strings.HasSuffix(line, " \n") {
				t.Errorf("%d columns: %q", n, line)
			}
		}
		if wrote := strings.Contains(errs, "--read-only writes nothing"); wrote == slices.Contains(tt.args, "--read-only") {
			t.Errorf("%q: standard error is %q", tt.args, errs)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestDoctorStorageJSON(t *testing.T) {
	addScheme(t, "cutting", cutting{fsroot.NewMem()})
	for spec, want := range map[string]int{t.TempDir(): verb.ExitOK, "cutting://": verb.ExitIncomplete} {
		exit, out, errs := storageRun(t, t.Context(), "--json", spec)
		var j jsonStorage
		if err := json.Unmarshal([]byte(out), &j); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if exit != want || j.Exit != want || j.Works != (want == 0) || !j.Wrote || j.ReadOnly || j.Storage != spec || len(j.Abilities) != len(fstest.Names()) {
			t.Errorf("%s: exit %d, %+v, %s", spec, exit, j, errs)
		}
		for _, a := range j.Abilities {
			if (a.Means == "") != (a.Verdict == "yes" || a.Verdict == "skipped") || (a.Error == "") != (a.Verdict == "yes") {
				t.Errorf("%s: %+v", spec, a)
			}
		}
	}
}

// TestDoctorBucket examines a bucket of VersityGW, and one that does not exist.
func TestDoctorBucket(t *testing.T) {
	g := s3peer.Start(t, t.TempDir())
	g.Setenv(t)
	spec := g.URL("", "")
	exit, out, errs := storageRun(t, t.Context(), spec)
	folded := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"yes uploads: resume", "yes uploads: replace nothing", "yes service: PUT with If-Match", "yes service: list of parts", "A server can use it.", "Use: miniftp serve "} {
		if !strings.Contains(folded, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if exit != verb.ExitOK {
		t.Errorf("exit %d: %s\n%s", exit, errs, out)
	}
	if strings.Contains(out+errs, s3peer.SecretKey) {
		t.Error("the secret key is printed")
	}
	if exit, _, errs := storageRun(t, t.Context(), strings.Replace(spec, s3peer.Bucket, "none", 1)); exit == verb.ExitOK || !strings.Contains(errs, "none") {
		t.Errorf("a bucket that does not exist: exit %d: %s", exit, errs)
	}
}

// TestDoctorJudgesService: a bucket whose service ignores a condition is not fit for a server. One that lacks something minor is.
func TestDoctorJudgesService(t *testing.T) {
	for need, fit := range map[fstest.Need]bool{fstest.Required: false, fstest.Minor: true} {
		s := &storageReport{results: []fstest.Result{{Name: ofService + "PUT with If-Match", Need: need, Verdict: fstest.No, Err: errors.New("the store ignores the condition")}}}
		if s.judge(); (s.err == nil) != fit || len(s.findings) != 1 || s.findings[0].means == "" {
			t.Errorf("%v: %v, %+v", need, s.err, s.findings)
		}
	}
}

// TestDoctorStorageArguments: what is a storage, and what is a server.
func TestDoctorStorageArguments(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("dir", 0o755), os.WriteFile("file", []byte("text"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		exit int
		errs string
	}{
		{[]string{"--read-only", "."}, verb.ExitOK, ""},
		{[]string{"--read-only", "dir/"}, verb.ExitOK, ""},
		{[]string{"dir"}, verb.ExitUsage, `"dir" could be a server or a directory: write ./dir for the directory`},
		{[]string{"./none"}, verb.ExitLocal, "./none: no such file"},
		{[]string{"none/none"}, verb.ExitLocal, "the URL of a server begins with ftp://"},
		{[]string{"./file"}, verb.ExitLocal, "./file: "},
		{[]string{"zip:file"}, verb.ExitLocal, "file is not a zip archive"},
		{[]string{"tar:none"}, verb.ExitLocal, "no such file"},
		{[]string{"localhost"}, verb.ExitUsage, "not a URL"},
		{[]string{"--write", "./dir"}, verb.ExitUsage, "--write is for servers"},
		{[]string{"--read-only", "ftp://localhost/"}, verb.ExitUsage, "--read-only is for storages"},
	} {
		exit, _, errs := storageRun(t, t.Context(), tt.args...)
		if exit != tt.exit || !strings.Contains(errs, tt.errs) || strings.Count(errs, "\n") > 1 {
			t.Errorf("%q: exit %d, %q; want %d, %q", tt.args, exit, errs, tt.exit, tt.errs)
		}
	}
}

// slow is a storage whose files are slow to open.
type slow struct {
	afero.Fs
	cancel func()
}

func (s slow) Rename(oldname, newname string) error {
	s.cancel()
	return s.Fs.Rename(oldname, newname)
}

// TestDoctorStorageInterrupted: an interrupt ends doctor, and what it wrote is removed.
func TestDoctorStorageInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	mem := fsroot.NewMem()
	addScheme(t, "slow", slow{mem, cancel})
	exit, out, errs := storageRun(t, ctx, "slow://")
	if exit != verb.ExitInterrupted || out != "" || !strings.HasSuffix(errs, "miniftp: interrupted\n") {
		t.Errorf("exit %d, %q, %q", exit, out, errs)
	}
	if left, err := afero.ReadDir(mem, "/"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestMeanings: each check has a text about what its result means, and each text a check.
func TestMeanings(t *testing.T) {
	for _, name := range fstest.Names() {
		for _, has := range []map[string]bool{{}, {"rename a file": true, "rename a directory": true}} {
			for _, v := range []fstest.Verdict{fstest.No, fstest.Wrong} {
				if (&storageReport{}).meaning(fstest.Result{Name: name, Verdict: v}, has) == "" {
					t.Errorf("%q has no text", name)
				}
			}
		}
		s := &storageReport{}
		if n := term.Cells(s.shortName(fstest.Result{Name: name})); n >= nameWidth {
			t.Errorf("%q is too long for the table: %d columns", name, n)
		}
	}
	for _, name := range slices.Concat(renames, forUploads) {
		if !slices.Contains(fstest.Names(), name) {
			t.Errorf("there is no check %q", name)
		}
	}
	for name := range meanings {
		if !slices.Contains(fstest.Names(), name) {
			t.Errorf("there is no check %q", name)
		}
	}
}

// TestDoctorWithDocs: docs/storages.md and docs/doctor.md name what doctor does with a storage.
func TestDoctorWithDocs(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "doctor.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"miniftp doctor ./", "--read-only", ".miniftp-check-"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("docs/doctor.md has no %q", want)
		}
	}
}
