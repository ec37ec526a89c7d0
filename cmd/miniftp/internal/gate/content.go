package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"sync"

	"miniftp/ftp/server"
)

// content returns the whole content of an upload.
func content(u *server.GateUpload) *io.SectionReader {
	return io.NewSectionReader(u.Content, 0, u.Size)
}

// hashContent returns the SHA-256 of an upload in hex.
func hashContent(ctx context.Context, u *server.GateUpload) (string, error) {
	h := sha256.New()
	if err := copyAll(ctx, h, content(u)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// copyAll is like io.Copy, and stops when ctx ends.
func copyAll(ctx context.Context, to io.Writer, from io.Reader) error {
	for {
		_, err := io.CopyN(to, from, 1<<20)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
	}
}

// body is the content for package http or exec. They may read it on goroutines of theirs that last longer than a check,
// when the upload must not be read any more: after end, Read fails.
type body struct {
	mu     sync.Mutex
	r      io.Reader
	closed bool
	err    error // of a read
}

func newBody(u *server.GateUpload) *body { return &body{r: content(u)} }

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, io.ErrClosedPipe
	}
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// failure returns the error of the content, if it could not be read.
func (b *body) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
