package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/testutil"
)

func (p peer) resume(t *testing.T, c *client.Client, dir string) {
	data := testutil.Noise(300_000)
	mem := afero.NewMemMapFs()
	name := dir + "/r"
	for _, have := range []int{0, 10, 100_000, 300_000} {
		if err := afero.WriteFile(mem, "whole", data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Store(t.Context(), name, bytes.NewReader(data[:have])); err != nil {
			t.Fatalf("Store: %v", err)
		}
		o := client.FileOptions{Resume: true}
		if res, err := c.Upload(t.Context(), "whole", name, over(mem, o)); err != nil || res.Bytes != int64(len(data)-have) {
			t.Errorf("Upload after %d: %+v, %v", have, res, err)
		}
		if err := afero.WriteFile(mem, ".got.part", data[:have], 0o600); err != nil {
			t.Fatal(err)
		}
		_ = mem.Remove("got")
		if res, err := c.Download(t.Context(), name, "got", over(mem, o)); err != nil || res.Bytes != int64(len(data)-have) {
			t.Errorf("Download after %d: %+v, %v", have, res, err)
		}
		if b, err := afero.ReadFile(mem, "got"); err != nil || !bytes.Equal(b, data) {
			t.Errorf("after %d: %d bytes, %v", have, len(b), err)
		}
	}
	if n, err := c.Append(t.Context(), name, strings.NewReader("!")); n != 1 || err != nil {
		t.Errorf("Append: %d, %v", n, err)
	}
	if n, err := c.Size(t.Context(), name); n != int64(len(data)+1) || err != nil {
		t.Errorf("Size: %d, %v", n, err)
	}
}

func (p peer) manage(t *testing.T, c *client.Client, dir string) {
	ctx := t.Context()
	if _, err := c.Store(ctx, dir+"/a", strings.NewReader("abc")); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	if err := c.SetModTime(ctx, dir+"/a", at); err == nil {
		if got, err := c.ModTime(ctx, dir+"/a"); err != nil || !got.Equal(at) {
			t.Errorf("ModTime: %v, %v", got, err)
		}
	} else if p.all || !testutil.IsA[*ftp.Error](err) {
		t.Errorf("SetModTime: %v", err)
	}
	if err := c.Chmod(ctx, dir+"/a", 0o640); err != nil && (p.all || !testutil.IsA[*ftp.Error](err)) {
		t.Errorf("Chmod: %v", err)
	}
	if algo, sum, err := c.Hash(ctx, dir+"/a", "sha256"); err == nil {
		if want := fmt.Sprintf("%x", sha256.Sum256([]byte("abc"))); algo != "SHA-256" || sum != want {
			t.Errorf("Hash: %s %s", algo, sum)
		}
	} else if p.all || !testutil.IsA[*ftp.Error](err) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Hash: %v", err)
	}
	if err := c.Rename(ctx, dir+"/a", dir+"/b"); err != nil {
		t.Errorf("Rename: %v", err)
	}
	if e, err := c.Stat(ctx, dir); err != nil || !e.IsDir() {
		t.Errorf("Stat of a directory: %+v, %v", e, err)
	}
	if err := c.ChangeDir(ctx, dir); err != nil {
		t.Errorf("ChangeDir: %v", err)
	}
	if n, err := c.Retrieve(ctx, "b", io.Discard); n != 3 || err != nil {
		t.Errorf("Retrieve by a relative path: %d, %v", n, err)
	}
	if entries, errs := collect(t, c, ""); len(entries) != 1 || errs != nil || entries[0].Name != "b" || entries[0].Size != 3 {
		t.Errorf("List of the current directory: %+v, %v", entries, errs)
	}
	if name, n, err := c.StoreUnique(ctx, "", strings.NewReader("xyz")); err == nil {
		if name == "" || n != 3 {
			t.Errorf("StoreUnique: %q, %d", name, n)
		}
	} else if p.all || !testutil.IsA[*ftp.Error](err) {
		t.Errorf("StoreUnique: %v", err)
	}
	if err := c.ChangeDir(ctx, "/"); err != nil {
		t.Errorf("ChangeDir /: %v", err)
	}
	if err := c.Delete(ctx, dir+"/b"); err != nil {
		t.Errorf("Delete: %v", err)
	}
}

func (p peer) tree(t *testing.T, c *client.Client, dir string) {
	for _, name := range []string{"x/y/one.txt", "x/two.txt", "x/y/z/three.bin", "four.txt"} {
		full := dir + "/" + name
		if err := c.MakeDirAll(t.Context(), full[:strings.LastIndexByte(full, '/')]); err != nil {
			t.Errorf("MakeDirAll: %v", err)
		}
		if _, err := c.Store(t.Context(), full, strings.NewReader(name)); err != nil {
			t.Errorf("Store: %v", err)
		}
	}
	var got []string
	for e, err := range c.Walk(t.Context(), dir) {
		if err != nil {
			t.Errorf("Walk: %s: %v", e.Path, err)
		}
		got = append(got, strings.TrimPrefix(e.Path, dir+"/"))
	}
	want := []string{"four.txt", "x", "x/two.txt", "x/y", "x/y/one.txt", "x/y/z", "x/y/z/three.bin"}
	if !slices.Equal(got, want) {
		t.Errorf("Walk: %q", got)
	}
	found, err := c.Glob(t.Context(), dir+"/x/*/*.txt")
	if err != nil || len(found) != 1 || found[0].Path != dir+"/x/y/one.txt" {
		t.Errorf("Glob: %+v, %v", found, err)
	}
}

// cancel checks that the client can be used after a transfer was cancelled.
func (p peer) cancel(t *testing.T, c *client.Client, dir string) {
	name := dir + "/big"
	if _, err := c.Store(t.Context(), name, bytes.NewReader(testutil.Noise(8<<20))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	if _, err := c.Retrieve(ctx, name, cancelling{cancel}); !errors.Is(err, errEnough) {
		t.Errorf("Retrieve: %v", err)
	}
	if !c.Alive() {
		t.Fatal("dead after a cancelled Retrieve")
	}
	if n, err := c.Retrieve(t.Context(), name, io.Discard); n != 8<<20 || err != nil {
		t.Errorf("Retrieve: %d, %v", n, err)
	}
	ctx, cancel = context.WithCancelCause(t.Context())
	data := testutil.Noise(200_000)
	blocks, end := io.Pipe()
	defer end.Close()
	src := io.MultiReader(bytes.NewReader(data[:100_000]), cancelling{cancel}, blocks)
	if _, err := c.Store(ctx, dir+"/cut", src); !errors.Is(err, errEnough) {
		t.Errorf("Store: %v", err)
	}
	if !c.Alive() {
		t.Fatal("dead after a cancelled Store")
	}
	if _, err := c.Stat(t.Context(), dir+"/cut"); p.all && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cancelled upload was stored: %v", err)
	}
	mem := disk(t, map[string]string{"cut": string(data)})
	res, err := c.Upload(t.Context(), "cut", dir+"/cut", client.FileOptions{FS: mem, Resume: true})
	if err != nil || res.Bytes == 0 {
		t.Errorf("Upload of the rest: %+v, %v", res, err)
	}
	var got bytes.Buffer
	if _, err := c.Retrieve(t.Context(), dir+"/cut", &got); err != nil || !bytes.Equal(got.Bytes(), data) {
		t.Errorf("Retrieve of it: %d bytes, %v", got.Len(), err)
	}
	r, err := c.Open(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil || !c.Alive() {
		t.Errorf("Close half way: %v, alive %v", err, c.Alive())
	}
}

// cancelling cancels as soon as it is read or written.
type cancelling struct{ cancel context.CancelCauseFunc }

// Write is slow, because a fast server could send the rest before the cancel is noticed.
func (c cancelling) Write(b []byte) (int, error) {
	c.cancel(errEnough)
	time.Sleep(5 * time.Millisecond)
	return len(b), nil
}

func (c cancelling) Read([]byte) (int, error) { c.cancel(errEnough); return 0, io.EOF }

func (p peer) errors(t *testing.T, c *client.Client, dir string) {
	ctx := t.Context()
	nope := dir + "/nope"
	calls := map[string]func() error{
		"Retrieve": func() error { _, err := c.Retrieve(ctx, nope, io.Discard); return err },
		"Open":     func() error { _, err := c.Open(ctx, nope, 0); return err },
		"Stat":     func() error { _, err := c.Stat(ctx, nope); return err },
		"Size":     func() error { _, err := c.Size(ctx, nope); return err },
		"Delete":   func() error { return c.Delete(ctx, nope) },
		"Rename":   func() error { return c.Rename(ctx, nope, nope+"2") },
		"CWD":      func() error { return c.ChangeDir(ctx, nope) },
		"Download": func() error {
			_, err := c.Download(ctx, nope, "x", client.FileOptions{FS: afero.NewMemMapFs()})
			return err
		},
	}
	for name, call := range calls {
		if err := call(); !testutil.IsA[*ftp.Error](err) || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Retrieve(ctx, dir, io.Discard); !testutil.IsA[*ftp.Error](err) {
		t.Errorf("Retrieve of a directory: %v", err)
	}
	if _, errs := collect(t, c, nope); p.all && (len(errs) != 1 || !testutil.IsA[*ftp.Error](errs[0])) {
		t.Errorf("List: %v", errs)
	}
}

func (p peer) ascii(t *testing.T, c *client.Client, dir string) {
	text := "one\ntwo\n\nfour"
	up := client.Transfer{Path: dir + "/t", ASCII: true}
	if _, err := c.StoreWith(t.Context(), up, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := c.RetrieveWith(t.Context(), up, &got); err != nil || got.String() != text {
		t.Errorf("Retrieve: %q, %v", got.String(), err)
	}
	if n, err := c.Size(t.Context(), up.Path); err != nil || p.all && n != int64(len(text)) {
		t.Errorf("Size: %d, %v", n, err)
	}
}
