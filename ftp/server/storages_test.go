package server_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// noRename is a storage that can't rename, like object stores.
type noRename struct{ afero.Fs }

func (noRename) Rename(oldname, _ string) error {
	return &fs.PathError{Op: "rename", Path: oldname, Err: errors.ErrUnsupported}
}

// Uploads work on every writable storage of afero: with a hidden name if it can rename, otherwise in place.
// They leave nothing else. The table in docs/storages.md says the same.
func TestStorages(t *testing.T) {
	doc, err := os.ReadFile("../../docs/storages.md")
	check(t, err)
	base := func(t *testing.T) afero.Fs { return afero.NewBasePathFs(afero.NewOsFs(), t.TempDir()) }
	for _, tt := range []struct {
		name    string
		open    func(t *testing.T) afero.Fs
		inPlace bool // an upload is visible before it is whole
		rnto    ftp.Code
	}{
		{"fsroot.Root", func(t *testing.T) afero.Fs { root, _ := disk(t); return root }, false, 250},
		{"fsroot.NewMem", func(*testing.T) afero.Fs { return fsroot.NewMem() }, false, 250},
		{"afero.BasePathFs over OsFs", base, false, 250},
		{"afero.MemMapFs", func(*testing.T) afero.Fs { return afero.NewMemMapFs() }, false, 250},
		{"afero.CopyOnWriteFs", func(t *testing.T) afero.Fs {
			return afero.NewCopyOnWriteFs(afero.NewReadOnlyFs(base(t)), fsroot.NewMem())
		}, false, 250},
		{"afero.CacheOnReadFs", func(t *testing.T) afero.Fs {
			return afero.NewCacheOnReadFs(base(t), afero.NewMemMapFs(), time.Minute)
		}, false, 250},
		{"afero.RegexpFs", func(t *testing.T) afero.Fs { return afero.NewRegexpFs(base(t), regexp.MustCompile(`.`)) }, false, 250},
		{"a storage without rename", func(t *testing.T) afero.Fs { return noRename{base(t)} }, true, 504},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row := fmt.Sprintf("| `%s` | %s | %s |", tt.name, map[bool]string{false: "a hidden name", true: "its final name"}[tt.inPlace], map[ftp.Code]string{250: "yes", 504: "no (504)"}[tt.rnto])
			if !strings.Contains(string(doc), row) {
				t.Errorf("docs/storages.md has no row %s", row)
			}
			fsys := tt.open(t)
			c := serve(t, fsys).login(t, "rw")
			c.cmd("MKD d", 257)
			for _, name := range []string{"f", "d/f"} {
				d := c.starts("STOR " + name)
				_, err := d.Write([]byte("new"))
				check(t, err)
				if exists(fsys, "/"+name) != tt.inPlace {
					t.Errorf("%s during its upload: visible is %v", name, !tt.inPlace)
				}
				check(t, d.Close())
				c.want(226)
				c.put("STOR "+name, []byte("replaced"))
				c.put("APPE "+name, []byte(" and more"))
				c.cmd("REST 9", 350)
				c.put("STOR "+name, []byte("AND"))
				if got := read(t, fsys, "/"+name); got != "replaced AND more" {
					t.Errorf("%s contains %q", name, got)
				}
			}
			c.put("STOU u", []byte("unique"))
			c.cmd("RNFR u", 350)
			if got := c.cmd("RNTO v").Code; got != tt.rnto {
				t.Errorf("RNTO: %d, want %d", got, tt.rnto)
			}
			for _, dir := range []string{"/", "/d"} {
				for _, name := range names(t, fsys, dir) {
					if _, _, ok := server.ParsePartial(name); ok {
						t.Errorf("left: %s", name)
					}
				}
			}
			c.cmd("DELE d/f", 250)
			c.cmd("RMD d", 250)
		})
	}
}

// A read-only storage refuses an upload before the client sends anything.
func TestStoragesThatCannotBeWrittenTo(t *testing.T) {
	for name, fsys := range map[string]afero.Fs{
		"afero.ReadOnlyFs": afero.NewReadOnlyFs(afero.NewMemMapFs()), "fsroot.ReadOnly": fsroot.ReadOnly(fsroot.NewMem()),
	} {
		c := serve(t, fsys).login(t, "rw")
		c.cmd("EPSV", 229)
		for _, cmd := range []string{"STOR f", "APPE f", "STOU f", "MKD d"} {
			if r := c.cmd(cmd); r.Code != 550 {
				t.Errorf("%s: %s: %v", name, cmd, r)
			}
		}
	}
}
