package storage

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/fsroot"
)

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		spec             string
		root, path, head string
	}{
		{"s3://b", "s3://b", "", "s3://b/"},
		{"s3://b/a/c*", "s3://b", "a/c*", "s3://b/"},
		{"S3://b//a", "s3://b", "a", "s3://b/"},
		{"s3://b/a/c?endpoint=http://h:1&region=r", "s3://b?endpoint=http://h:1&region=r", "a/c", "s3://b/"},
		{"s3://b?times=exact", "s3://b?times=exact", "", "s3://b/"},
		{"s3://b/a?.txt", "s3://b", "a?.txt", "s3://b/"}, // a wildcard
		{"zip:x.zip", "zip:x.zip", "", "zip:x.zip!/"},
		{"ZIP:/d/x.zip!/a/b", "zip:/d/x.zip", "a/b", "zip:/d/x.zip!/"},
		{"tar:x.tgz!/", "tar:x.tgz", "", "tar:x.tgz!/"},
	} {
		p, err := Split(tt.spec)
		if err != nil || p.Root != tt.root || p.Path != tt.path || p.Head != tt.head {
			t.Errorf("%s: %+v, %v", tt.spec, p, err)
		}
		if !Is(tt.spec) || IsDirectory(tt.spec) || !verb.IsURL(tt.spec) {
			t.Errorf("%s is not recognized", tt.spec)
		}
	}
	for _, spec := range []string{"s3://", "s3:///a", "zip:", "tar:!/x", "mem://", "gopher://x"} {
		if _, err := Split(spec); verb.ExitCode(err) != verb.ExitUsage {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

// TestSecrets: what looks like credentials in a URL is refused and not shown.
func TestSecrets(t *testing.T) {
	for _, spec := range []string{
		"s3://AKIA:hush@b/x", "s3://b?secret-key=hush", "s3://b/x?region=r&access_token=hush", "s3://b?endpoint=http://u:hush@h",
	} {
		_, err := Split(spec)
		_, _, open := Open(t.Context(), spec)
		for _, err := range []error{err, open} {
			if verb.ExitCode(err) != verb.ExitUsage || strings.Contains(err.Error(), "hush") {
				t.Errorf("%s: %v", spec, err)
			}
		}
	}
}

func TestIs(t *testing.T) {
	for spec, want := range map[string]bool{
		"s3://b": true, "zip:x": true, "tar:x": true, "mem://": true,
		"": false, ".": false, "dir": false, "./zip:x": false, "s3:x": false, "mem:x": false, "ftp://h": false, "C:x": false, "zipper:x": false,
	} {
		if Is(spec) != want {
			t.Errorf("%q: %v", spec, !want)
		}
	}
	if !IsDirectory("dir") || !IsDirectory("./odd://dir") || IsDirectory("gopher://x") {
		t.Error("IsDirectory")
	}
	// package verb, which can't import this one, must know schemes without two slashes.
	for _, s := range Schemes {
		if !verb.IsURL(s.Form) || !Is(s.Form) {
			t.Errorf("%s is not recognized", s.Form)
		}
	}
}

func TestOpen(t *testing.T) {
	files, closer, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	if _, ok := files.(*fsroot.Root); !ok {
		t.Errorf("a directory is a %T", files)
	}
	_, _, err = Open(t.Context(), "gopher://x")
	if verb.ExitCode(err) != verb.ExitUsage || !strings.Contains(err.Error(), "a directory, s3://BUCKET, zip:FILE, tar:FILE, mem://") {
		t.Errorf("unknown scheme: %v", err)
	}
}

func TestProblem(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{errors.New("no such bucket"), verb.ExitRefused},
		{context.Canceled, verb.ExitInterrupted},
		{context.DeadlineExceeded, verb.ExitConnect},
		{&url.Error{Op: "Get", URL: "http://h", Err: io.EOF}, verb.ExitConnect},
	} {
		if got := verb.ExitCode(problem(tt.err)); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
}
