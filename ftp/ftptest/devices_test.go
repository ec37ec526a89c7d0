package ftptest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// TestDevices plays what cameras and scanners are known to send, for accounts with CompatDevice: cam, which may only upload, and
// scan, which may do everything. Without it, some of them fail; docs/devices.md names these.
func TestDevices(t *testing.T) {
	needed := []string{
		"esp32-cam-empty-cwd", "esp32-ftpclient-mkd", "ipcam-xmkd", "reolink-test", "yi-hack-ftpput", "yi-hack-mkd", "yi-hack-same-names", "dahua-allo",
	}
	files, err := filepath.Glob("../../testdata/devices/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	doc, err := os.ReadFile("../../docs/devices.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(string(doc), "`"+name+"`") {
				t.Error("docs/devices.md does not name it")
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := ftptest.ReadScript(name, data)
			if err != nil {
				t.Fatal(err)
			}
			if err := playDevice(t, s, server.CompatDevice); err != nil {
				t.Error(err)
			}
			if err := playDevice(t, s, 0); (err != nil) != slices.Contains(needed, name) {
				t.Errorf("without CompatDevice: %v", err)
			}
		})
	}
}

func playDevice(t *testing.T, s *ftptest.Script, compat server.Compat) error {
	fsys := fsroot.NewMem()
	if err := s.Lay(fsys); err != nil {
		t.Fatal(err)
	}
	user := func(name string, perm server.Perm) server.User {
		return server.User{Password: name, Account: server.Account{FS: fsys, Perm: perm, Compat: compat}}
	}
	srv := ftptest.NewServer(t, fsys, ftptest.WithOptions(func(o *server.Options) {
		o.Auth = server.Static{"cam": user("cam", server.DropBox), "scan": user("scan", server.ReadWrite)}
	}))
	defer srv.Close()
	if err := ftptest.Play(s, srv.Addr); err != nil {
		return err
	}
	return s.Compare(fsys)
}
