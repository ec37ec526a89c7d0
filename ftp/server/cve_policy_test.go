package server_test

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// guarded is the content of the files of the next test, and how verbs might reveal it.
const guarded = "what only readers may know\n"

func sums() (all []string) {
	b := []byte(guarded)
	for _, sum := range []any{sha256.Sum256(b), sha512.Sum512(b), sha1.Sum(b), md5.Sum(b)} {
		all = append(all, fmt.Sprintf("%x", sum))
	}
	return append(all, fmt.Sprintf("%08x", crc32.ChecksumIEEE(b)))
}

// state describes a tree: kind, content, mode and year of each name.
func state(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	check(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		check(t, err)
		fi, err := e.Info()
		check(t, err)
		content, _ := os.ReadFile(p)
		if fi.Mode()&fs.ModeSymlink != 0 {
			content = []byte("a link")
		}
		name, _ := filepath.Rel(dir, p)
		all[name] = fmt.Sprintf("%v|%s|%v|%d", fi.Mode().Type(), content, fi.Mode().Perm(), fi.ModTime().Year())
		return nil
	}))
	return all
}

// A missing permission applies to every verb, alias and spelling of verb and path: what it protects is neither
// revealed nor changed. The test does not use the table's own permissions.
func TestNoVerbGetsRoundAPermission(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	permissions := []server.Perm{
		server.PermRead, server.PermList, server.PermStore, server.PermOverwrite, server.PermDelete, server.PermRename, server.PermMakeDir, server.PermChange,
	}
	for _, missing := range permissions {
		t.Run(missing.String(), func(t *testing.T) {
			var now afero.Fs
			s := serve(t, nil, func(o *server.Options) {
				o.Auth = server.AuthenticatorFunc(func(context.Context, server.Login) (*server.Account, error) {
					return &server.Account{FS: now, Perm: server.ReadWrite &^ missing}, nil
				})
			})
			for _, v := range server.Verbs() {
				all := append(spellings(v), strings.ToLower(v.Name), strings.ToUpper(v.Name[:1])+strings.ToLower(v.Name[1:]))
				if !testutil.Soaking {
					all = spellings(v) // TestEveryVerbByAccount tests the others
				}
				for _, script := range pathCommands[v.Name] {
					for _, verb := range all {
						var dir string
						now, dir = disk(t)
						trial(t, s, missing, dir, strings.ReplaceAll(script, v.Name+" ", verb+" "))
					}
				}
			}
		})
	}
}

// trial runs a script against a tree, with the path in every spelling.
func trial(t *testing.T, s *site, missing server.Perm, dir, script string) {
	t.Helper()
	for _, d := range []string{"d", "d/dir"} {
		check(t, os.Mkdir(dir+"/"+d, 0o750))
	}
	for _, f := range []string{"f", "secret", "d/peculiar-name", "d/secret"} {
		check(t, os.WriteFile(dir+"/"+f, []byte(guarded), 0o640))
	}
	check(t, os.WriteFile(dir+"/bait", []byte("bait"), 0o640))
	before := state(t, dir)
	c := s.login(t, "rw")
	defer c.Close()
	said := ""
	for _, path := range []string{"/f", "f", "/f/", "//f", "./f", "/d/../f", "/f/.", "/d", "d/", "/d/dir/..", "/d*"} {
		said += c.everything(append(strings.Split(strings.ReplaceAll(script, "%s", path), "\n"), "CWD /"))
	}
	after := state(t, dir)
	lower := strings.ToLower(said)
	renames := strings.Contains(strings.ToUpper(script), "RNFR")
	bad := func(what string) { t.Errorf("without %v, %q %s:\n%s", missing, script, what, said) }
	switch missing {
	case server.PermRead:
		for _, sum := range append(sums(), guarded[:10]) {
			if strings.Contains(lower, sum) {
				bad("tells what is in a file")
			}
		}
	case server.PermList:
		if strings.Contains(lower, "peculiar-name") || strings.Contains(lower, "type=") || strings.Contains(lower, "rw-r") {
			bad("lists")
		}
	}
	for name, was := range before {
		is, there := after[name]
		w, i := strings.Split(was, "|"), strings.Split(is, "|")
		switch {
		case !there:
			if missing == server.PermRename && renames || missing == server.PermDelete && !renames {
				bad("took " + name + " away")
			}
		case missing == server.PermOverwrite && w[1] != i[1]:
			bad("changed " + name)
		case missing == server.PermChange && (w[2] != i[2] || i[3] == "2001"):
			bad("changed the mode or the time of " + name)
		}
	}
	for name, is := range after {
		if _, there := before[name]; there {
			continue
		}
		link, isDir := strings.HasPrefix(is, "L"), strings.HasPrefix(is, "d")
		if missing == server.PermStore && !isDir && !link && !renames || missing == server.PermMakeDir && (isDir || link) && !renames || missing == server.PermRename && renames {
			bad("made " + name)
		}
	}
}
