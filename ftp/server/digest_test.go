package server_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// With Options.HashUploads, the event of each complete upload has the SHA-256 of the whole file, however it was uploaded.
func TestUploadsAreHashed(t *testing.T) {
	var mu sync.Mutex
	var last ftp.TransferDone
	fsys, _ := disk(t)
	s := serve(t, fsys, func(o *server.Options) {
		o.HashUploads = true
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			if done, ok := e.What.(ftp.TransferDone); ok {
				mu.Lock()
				defer mu.Unlock()
				last = done
			}
		})
	})
	c := s.login(t, "rw")
	c.cmd("TYPE I", 200)
	want := func(path string) {
		t.Helper()
		c.cmd("NOOP", 200) // the event comes before the reply of the upload
		mu.Lock()
		defer mu.Unlock()
		if is := fmt.Sprintf("%x", sha256.Sum256([]byte(read(t, fsys, path)))); last.SHA256 != is || last.Path != path {
			t.Errorf("%s %s: SHA-256 %q, want %s", last.Verb, path, last.SHA256, is)
		}
	}
	big := strings.Repeat("0123456789abcdef", 1<<16)
	c.put("STOR f", []byte(big))
	want("/f")
	c.put("APPE f", []byte("more"))
	want("/f")
	c.cmd("REST 5", 350)
	c.put("STOR f", []byte("other"))
	want("/f")
	c.put("STOU", []byte("new"))
	want("/upload")
	c.put("STOR empty", nil)
	want("/empty")
	c.cmd("TYPE A", 200)
	c.put("STOR text", []byte("a\r\nb\r\n"))
	want("/text")
	c.get("RETR text")
	c.cmd("NOOP", 200)
	mu.Lock()
	defer mu.Unlock()
	if last.Verb != "RETR" || last.SHA256 != "" {
		t.Errorf("a download has the SHA-256 %s", last.SHA256)
	}
}
