package client_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// varied is 10000 bytes in which no two parts are the same.
var varied = func() string {
	var b strings.Builder
	for i := 0; b.Len() < 10000; i++ {
		b.WriteString(strconv.Itoa(i) + ",")
	}
	return b.String()[:10000]
}()

const part = "dir/.a.part"

// disk returns a local file system with some files.
func disk(t *testing.T, files map[string]string) afero.Fs {
	t.Helper()
	fsys := afero.NewMemMapFs()
	for name, text := range files {
		if err := afero.WriteFile(fsys, name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return fsys
}

// holds checks the contents of the directory.
func holds(t *testing.T, fsys afero.Fs, want map[string]string) {
	t.Helper()
	infos, err := afero.ReadDir(fsys, "dir")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, info := range infos {
		name := "dir/" + info.Name()
		got, err := afero.ReadFile(fsys, name)
		if text, ok := want[name]; err != nil || !ok || text != string(got) {
			t.Errorf("%s has %d bytes, %v; wanted %d", name, len(got), err, len(text))
		}
	}
	if len(infos) != len(want) {
		t.Errorf("%d files, want %d", len(infos), len(want))
	}
}

func TestDownload(t *testing.T) {
	other := "x" + varied[1:] // same length, different content
	zeros := strings.Repeat("\x00", 10000)
	restIgnored := func(f *fakeserver.Server) { f.On["REST"] = fakeserver.Says("350 sure") }
	restRefused := func(f *fakeserver.Server) { f.On["REST"] = fakeserver.Says("502 what?") }
	short := func(f *fakeserver.Server) {
		f.On["RETR"] = func(s *fakeserver.Session, _ string) { s.Say("150 yes"); s.Send(varied[:400]); s.Say("226 done") }
	}
	a, p := "dir/a", part
	tests := []struct {
		name   string
		set    func(f *fakeserver.Server)
		remote string
		disk   map[string]string
		opts   client.FileOptions
		want   map[string]string
		check  func(err error) bool
		bytes  int64 // moved over the data connection; -1: any
	}{
		{"new", nil, varied, nil, client.FileOptions{}, map[string]string{a: varied}, nil, 10000},
		{"empty", nil, "", nil, client.FileOptions{}, map[string]string{a: ""}, nil, 0},
		{"replaces", nil, varied, map[string]string{a: "old", p: "older"}, client.FileOptions{}, map[string]string{a: varied, p: "older"}, nil, 10000},
		{"replaces, and sweeps", nil, varied, map[string]string{a: "old", p: varied[:5000]}, client.FileOptions{}, map[string]string{a: varied}, nil, 10000},
		{"ASCII", nil, "x\r\ny\r\n", map[string]string{p: "x\n"}, client.FileOptions{ASCII: true, Resume: true, Listed: listed(3)}, map[string]string{a: "x\ny\n"}, nil, 6},
		{"short", short, varied, nil, client.FileOptions{}, map[string]string{p: varied[:400]}, testutil.IsA[*client.TruncatedError], 400},
		{
			"short, size given", func(f *fakeserver.Server) { short(f); f.Feat = []string{"EPSV"} }, varied, nil,
			client.FileOptions{Listed: listed(10000)},
			map[string]string{p: varied[:400]},
			testutil.IsA[*client.TruncatedError], 400,
		},
		{"refused", func(f *fakeserver.Server) { f.On["RETR"] = fakeserver.Says("550 no") }, varied, nil, client.FileOptions{}, nil, testutil.IsA[*ftp.Error], 0},
		{
			"refused, something there", func(f *fakeserver.Server) { f.On["RETR"] = fakeserver.Says("550 no") }, varied,
			map[string]string{a: "old"},
			client.FileOptions{},
			map[string]string{a: "old"},
			testutil.IsA[*ftp.Error], 0,
		},

		{"resume, nothing there", nil, varied, nil, client.FileOptions{Resume: true}, map[string]string{a: varied}, nil, 10000},
		{"resume the part", nil, varied, map[string]string{p: varied[:6000], a: "old"}, client.FileOptions{Resume: true}, map[string]string{a: varied}, nil, 4000},
		{"resume a short part", nil, varied, map[string]string{p: varied[:400]}, client.FileOptions{Resume: true}, map[string]string{a: varied}, nil, 9600},
		{"resume the file", nil, varied, map[string]string{a: varied[:6000]}, client.FileOptions{Resume: true}, map[string]string{a: varied}, nil, 4000},
		{"resume the whole", nil, varied, map[string]string{a: varied}, client.FileOptions{Resume: true}, map[string]string{a: varied}, nil, 0},
		{
			"resume another file", nil, varied,
			map[string]string{p: other[:2000]},
			client.FileOptions{Resume: true},
			map[string]string{p: other[:2000]},
			testutil.IsA[*client.ResumeError], 0,
		},
		{
			"resume another file, no part", nil, varied,
			map[string]string{a: other[:2000]},
			client.FileOptions{Resume: true},
			map[string]string{a: other[:2000]},
			testutil.IsA[*client.ResumeError], 0,
		},
		{
			"resume a longer file", nil, varied,
			map[string]string{a: varied + "x"},
			client.FileOptions{Resume: true},
			map[string]string{a: varied + "x"},
			testutil.IsA[*client.ResumeError], 0,
		},
		{"resume, REST refused", restRefused, varied, map[string]string{a: varied[:6000]}, client.FileOptions{Resume: true}, map[string]string{a: varied}, nil, 10000},
		{"resume, REST refused, part", restRefused, varied, map[string]string{p: varied[:6000]}, client.FileOptions{Resume: true}, map[string]string{a: varied}, nil, 10000},
		{
			"resume, REST ignored", restIgnored, varied,
			map[string]string{p: varied[:6000]},
			client.FileOptions{Resume: true},
			map[string]string{p: varied[:6000]},
			testutil.IsA[*client.ResumeError], 0,
		},
		{
			"resume, REST ignored, no part", restIgnored, varied,
			map[string]string{a: varied[:6000]},
			client.FileOptions{Resume: true},
			map[string]string{a: varied[:6000]},
			testutil.IsA[*client.ResumeError], 0,
		},
		{
			"resume, REST ignored, zeros", restIgnored, zeros,
			map[string]string{p: zeros[:6000]},
			client.FileOptions{Resume: true},
			map[string]string{p: zeros[:6000]},
			testutil.IsA[*client.ResumeError], -1,
		},
		{
			"resume, REST ignored, zeros, no SIZE", func(f *fakeserver.Server) { restIgnored(f); f.Feat = []string{"EPSV"} }, zeros,
			map[string]string{p: zeros[:6000]},
			client.FileOptions{Resume: true},
			map[string]string{a: zeros},
			nil, 10000,
		},
		{
			"resume, no SIZE", func(f *fakeserver.Server) { f.Feat = []string{"EPSV"} }, varied,
			map[string]string{p: varied[:6000]},
			client.FileOptions{Resume: true},
			map[string]string{a: varied},
			nil, 4000,
		},
		{
			"resume, 550", func(f *fakeserver.Server) { f.On["RETR"] = fakeserver.Says("550 no") }, varied,
			map[string]string{a: varied[:6000]},
			client.FileOptions{Resume: true},
			map[string]string{a: varied[:6000]},
			testutil.IsA[*ftp.Error], 0,
		},
		{
			"resume, cut again", func(f *fakeserver.Server) {
				f.On["RETR"] = func(s *fakeserver.Session, _ string) {
					s.Say("150 yes")
					s.Send(varied[s.Offset:8000])
					s.Say("226 done")
				}
			}, varied,
			map[string]string{a: varied[:6000]},
			client.FileOptions{Resume: true},
			map[string]string{p: varied[:8000]},
			testutil.IsA[*client.TruncatedError], 2000,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fakeserver.New(t, tt.set)
			f.SetFile("r", tt.remote)
			c := dial(t, f, nil)
			fsys := disk(t, tt.disk)
			res, err := c.Download(t.Context(), "r", a, over(fsys, tt.opts))
			if tt.check == nil && err != nil || tt.check != nil && !tt.check(err) {
				t.Errorf("Download: %v (%T)", err, err)
			}
			if tt.bytes >= 0 && res.Bytes != tt.bytes {
				t.Errorf("%d bytes received, want %d", res.Bytes, tt.bytes)
			}
			holds(t, fsys, tt.want)
			if _, err := c.Pwd(t.Context()); err != nil {
				t.Errorf("Pwd: %v", err)
			}
		})
	}
}

func TestDownloadToDisk(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["r"] = varied })
	c := dial(t, f, nil)
	dir := t.TempDir()
	for _, fsys := range []afero.Fs{afero.NewOsFs(), afero.NewBasePathFs(afero.NewOsFs(), dir)} {
		local := filepath.Join(dir, "a")
		if fsys.Name() == "BasePathFs" {
			local = "b"
		}
		var last int64
		o := client.FileOptions{KeepTime: true, Progress: func(n, total int64) {
			if n < last || total != 10000 {
				t.Errorf("progress %d of %d after %d", n, total, last)
			}
			last = n
		}}
		res, err := c.Download(t.Context(), "r", local, over(fsys, o))
		if err != nil || res.Verified != "size and reply" || last != 10000 {
			t.Errorf("%s: %+v, %v, progress %d", fsys.Name(), res, err, last)
		}
		info, err := fsys.Stat(local)
		if err != nil || !info.ModTime().Equal(time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)) || info.Size() != 10000 {
			t.Errorf("%s: %v, %v", fsys.Name(), info, err)
		}
		// Resume with a real file.
		if err := afero.WriteFile(fsys, local, []byte(varied[:5000]), 0o600); err != nil {
			t.Fatal(err)
		}
		if res, err = c.Download(t.Context(), "r", local, client.FileOptions{FS: fsys, Resume: true}); err != nil || res.Bytes != 5000 {
			t.Errorf("%s: resume: %+v, %v", fsys.Name(), res, err)
		}
		if got, err := afero.ReadFile(fsys, local); err != nil || string(got) != varied {
			t.Errorf("%s: %d bytes, %v", fsys.Name(), len(got), err)
		}
	}
}

// A file whose name has the maximum length can be downloaded as well.
func TestDownloadLongName(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["r"] = varied })
	c := dial(t, f, nil)
	dir := t.TempDir()
	for _, name := range []string{strings.Repeat("x", 255), strings.Repeat("é", 127)} {
		local := filepath.Join(dir, name)
		if _, err := c.Download(t.Context(), "r", local, client.FileOptions{}); err != nil {
			t.Errorf("Download: %v", err)
		}
		if got, err := os.ReadFile(local); err != nil || string(got) != varied {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

func TestDownloadLocalTrouble(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["r"] = varied })
	c := dial(t, f, nil)
	for name, fsys := range map[string]afero.Fs{
		"read only": afero.NewReadOnlyFs(afero.NewMemMapFs()),
		"directory": afero.NewBasePathFs(afero.NewOsFs(), filepath.Join(t.TempDir(), "missing")),
	} {
		var local *client.LocalError
		if _, err := c.Download(t.Context(), "r", "a", client.FileOptions{FS: fsys}); !errors.As(err, &local) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.Count("RETR") != 0 {
		t.Errorf("commands %q", f.Commands())
	}
}

func TestUpload(t *testing.T) {
	other := "x" + varied[1:]
	tests := []struct {
		name   string
		set    func(f *fakeserver.Server)
		remote string // "-": none
		opts   client.FileOptions
		want   string
		check  func(err error) bool
		bytes  int64
	}{
		{"new", nil, "-", client.FileOptions{}, varied, nil, 10000},
		{"replaces", nil, "old", client.FileOptions{}, varied, nil, 10000},
		{"resume, nothing there", nil, "-", client.FileOptions{Resume: true}, varied, nil, 10000},
		{"resume, empty", nil, "", client.FileOptions{Resume: true}, varied, nil, 10000},
		{"resume", nil, varied[:6000], client.FileOptions{Resume: true}, varied, nil, 4000},
		{"resume, little there", nil, varied[:7], client.FileOptions{Resume: true}, varied, nil, 9993},
		{"resume the whole", nil, varied, client.FileOptions{Resume: true}, varied, nil, 0},
		{"resume another file", nil, other[:2000], client.FileOptions{Resume: true}, other[:2000], testutil.IsA[*client.ResumeError], 0},
		{"resume a longer file", nil, varied + "x", client.FileOptions{Resume: true}, varied + "x", testutil.IsA[*client.ResumeError], 0},
		{"resume, REST refused", func(f *fakeserver.Server) { f.On["REST"] = fakeserver.Says("502 what?") }, varied[:6000], client.FileOptions{Resume: true}, varied, nil, 10000},
		{
			"resume, REST ignored for RETR", func(f *fakeserver.Server) { f.On["REST"] = fakeserver.Says("350 sure") }, varied[:6000],
			client.FileOptions{Resume: true},
			varied[:6000], testutil.IsA[*client.ResumeError], 0,
		},
		{"resume, nothing may be read", func(f *fakeserver.Server) { f.On["RETR"] = fakeserver.Says("550 upload only") }, varied[:6000], client.FileOptions{Resume: true}, varied, nil, 4000},
		{"resume, REST ignored for STOR", func(f *fakeserver.Server) {
			f.On["STOR"] = func(s *fakeserver.Session, arg string) { s.Offset = 0; s.Behave("STOR", arg) }
		}, varied[:6000], client.FileOptions{Resume: true}, varied[6000:], testutil.IsA[*client.TruncatedError], 4000},
		{"the server lost some", func(f *fakeserver.Server) {
			f.On["STOR"] = func(s *fakeserver.Session, arg string) { s.Behave("STOR", arg); f.SetFile(arg, varied[:400]) }
		}, "-", client.FileOptions{}, varied[:400], testutil.IsA[*client.TruncatedError], 10000},
		{"SIZE refused", func(f *fakeserver.Server) { f.On["SIZE"] = fakeserver.Says("550 upload only") }, "-", client.FileOptions{}, varied, nil, 10000},
	}
	for _, tt := range tests {
		for _, mem := range []bool{true, false} {
			t.Run(tt.name+map[bool]string{true: "/memory", false: "/disk"}[mem], func(t *testing.T) {
				f := fakeserver.New(t, tt.set)
				if tt.remote != "-" {
					f.SetFile("r", tt.remote)
				}
				fsys := afero.NewBasePathFs(afero.NewOsFs(), t.TempDir())
				if mem {
					fsys = afero.NewMemMapFs()
				}
				if err := afero.WriteFile(fsys, "a", []byte(varied), 0o600); err != nil {
					t.Fatal(err)
				}
				c := dial(t, f, nil)
				res, err := c.Upload(t.Context(), "a", "r", over(fsys, tt.opts))
				if tt.check == nil && err != nil || tt.check != nil && !tt.check(err) {
					t.Errorf("Upload: %v (%T)", err, err)
				}
				if res.Bytes != tt.bytes {
					t.Errorf("%d bytes sent, want %d", res.Bytes, tt.bytes)
				}
				if got, _ := f.File("r"); got != tt.want {
					t.Errorf("the server has %d bytes, want %d", len(got), len(tt.want))
				}
				if _, err := c.Pwd(t.Context()); err != nil {
					t.Errorf("Pwd: %v", err)
				}
			})
		}
	}
}

func TestUploadKeepsTime(t *testing.T) {
	for _, answer := range []string{"213 done", "550 no"} {
		f := fakeserver.New(t, func(f *fakeserver.Server) { f.Feat = []string{"MFMT", "SIZE"}; f.On["MFMT"] = fakeserver.Says(answer) })
		c := dial(t, f, nil)
		fsys := disk(t, map[string]string{"a": "x"})
		at := time.Date(2020, 2, 29, 1, 2, 3, 0, time.UTC)
		if err := fsys.Chtimes("a", at, at); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Upload(t.Context(), "a", "r", client.FileOptions{FS: fsys, KeepTime: true}); err != nil {
			t.Errorf("%s: %v", answer, err)
		}
		if !slices.Contains(f.Commands(), "MFMT 20200229010203 r") {
			t.Errorf("commands %q", f.Commands())
		}
	}
}

func TestUploadLocalTrouble(t *testing.T) {
	f := fakeserver.New(t, nil)
	c := dial(t, f, nil)
	fsys := disk(t, nil)
	if err := fsys.Mkdir("d", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nope", "d"} {
		var local *client.LocalError
		if _, err := c.Upload(t.Context(), name, "r", client.FileOptions{FS: fsys}); !errors.As(err, &local) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Upload(t.Context(), "nope", "r", client.FileOptions{FS: fsys}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nope: %v", err)
	}
	if f.Count("STOR") != 0 {
		t.Errorf("commands %q", f.Commands())
	}
}

// A transfer that is cut and resumed repeatedly results in the same file.
func TestDownloadInPieces(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["r"] = varied
		f.On["RETR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 yes")
			c := s.Data()
			_, _ = io.WriteString(c, varied[s.Offset:min(s.Offset+5000, len(varied))])
			_ = c.Close()
			s.Offset = 0
			s.Say("426 broken")
		}
	})
	c := dial(t, f, nil)
	fsys := disk(t, nil)
	tries := 0
	for ; tries < 100; tries++ {
		if _, err := c.Download(t.Context(), "r", "dir/a", client.FileOptions{FS: fsys, Resume: true}); err != nil && !testutil.IsA[*ftp.Error](err) {
			t.Fatal(err)
		}
		if info, err := fsys.Stat(part); err != nil || info.Size() == 10000 {
			break
		}
	}
	got, err := afero.ReadFile(fsys, part)
	if err != nil || string(got) != varied || tries == 0 {
		t.Errorf("after %d tries: %d bytes, %v", tries, len(got), err)
	}
}
