package gate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"miniftp/ftp/server"
)

// Quarantine keeps refused uploads in a directory of the host. When it is full, no more are kept: what is there may be
// evidence, so it is for an administrator to remove.
type Quarantine struct {
	Dir string
	Max int64 // bytes of all files in it; 0: no limit

	mu   sync.Mutex
	busy int64 // bytes of the files that are being written
}

var errFull = errors.New("the quarantine is full: remove files, or raise gate-quarantine-size")

// record is what is stored beside a file, in the same name with .json.
type record struct {
	Time    time.Time `json:"time"`
	User    string    `json:"user"`
	From    string    `json:"from"`
	Path    string    `json:"path"`
	Size    int64     `json:"size"`
	SHA256  string    `json:"sha256"`
	Checker string    `json:"checker"`
	Verdict string    `json:"verdict"`
	Session uint64    `json:"session"`
}

// recordRoom is what a record is assumed to take.
const recordRoom = 16 << 10

// add copies an upload into the quarantine and returns the name of the file.
func (q *Quarantine) add(ctx context.Context, u *server.GateUpload, by, verdict string) (string, error) {
	if err := q.reserve(u.Size + recordRoom); err != nil {
		return "", err
	}
	defer q.release(u.Size + recordRoom)
	now := time.Now().UTC()
	name := strings.Join([]string{now.Format("20060102T150405.000Z"), safe(u.User, 32), rand.Text()[:8], safe(path.Base(u.Path), 80)}, "-")
	digest, err := q.store(ctx, name, u)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(record{now, u.User, u.Remote.String(), u.Path, u.Size, digest, by, verdict, u.Session}, "", "  ")
	if err == nil {
		err = q.write(name+".json", func(f *os.File) error { _, err := f.Write(append(text, '\n')); return err })
	}
	if err != nil {
		_ = os.Remove(q.file(name))
	}
	return name, err
}

// store copies the content to a new file and returns its SHA-256 in hex.
func (q *Quarantine) store(ctx context.Context, name string, u *server.GateUpload) (string, error) {
	h := sha256.New()
	err := q.write(name, func(f *os.File) error { return copyAll(ctx, io.MultiWriter(f, h), content(u)) })
	return hex.EncodeToString(h.Sum(nil)), err
}

// write makes a file that only its owner can read. If fill fails, the file is removed.
func (q *Quarantine) write(name string, fill func(*os.File) error) error {
	f, err := os.OpenFile(q.file(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = fill(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(q.file(name))
	}
	return err
}

func (q *Quarantine) file(name string) string { return q.Dir + string(os.PathSeparator) + name }

// reserve returns errFull if there is no room for n more bytes. A file that is being written counts twice, so that the
// limit holds at any time.
func (q *Quarantine) reserve(n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.Max > 0 {
		used, err := q.used()
		if err != nil {
			return err
		}
		if used+q.busy+n > q.Max {
			return errFull
		}
	}
	q.busy += n
	return nil
}

func (q *Quarantine) release(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy -= n
}

func (q *Quarantine) used() (n int64, err error) {
	entries, err := os.ReadDir(q.Dir)
	if err != nil {
		return 0, fmt.Errorf("the quarantine can't be read: %w", err)
	}
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() {
			n += fi.Size()
		}
	}
	return n, nil
}

// safe returns at most n bytes of s with all but letters, digits, dots, underscores and hyphens replaced. It does not
// begin with a dot.
func safe(s string, n int) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
			return c
		}
		return '_'
	}, s[:min(len(s), n)])
	if strings.HasPrefix(s, ".") || s == "" {
		s = "_" + s
	}
	return s
}
