package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"runtime"
)

// trusted is where Go looks for the certificates of authorities on Debian, and therefore in the image.
const trusted = "/etc/ssl/certs/ca-certificates.crt"

// buildImage writes what the Containerfile copies: the program, and root.tar, the rest of the image's files. The certificates
// of authorities, which a server needs to serve a bucket or another server, are those of the machine that builds.
func buildImage(ctx context.Context, version, dir string) error {
	r, err := newRelease(ctx, version, dir)
	if err != nil {
		return err
	}
	if err := r.compile(ctx, "linux", runtime.GOARCH, filepath.Join(dir, "miniftp")); err != nil {
		return err
	}
	var packed bytes.Buffer
	t := tar.NewWriter(&packed)
	// Any user may write to these directories, because the user of a container is often not known in advance.
	for _, name := range []string{"data/", "data/files/", "data/state/"} {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o1777, ModTime: r.time, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
	}
	switch certs, err := os.ReadFile(trusted); {
	case errors.Is(err, fs.ErrNotExist):
		log.Printf("no %s here: the image can't check the certificates of buckets and other servers", trusted)
	case err != nil:
		return err
	default:
		if err := t.WriteHeader(&tar.Header{Name: trusted[1:], Mode: 0o644, Size: int64(len(certs)), ModTime: r.time, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := t.Write(certs); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "root.tar"), packed.Bytes(), 0o644)
}
