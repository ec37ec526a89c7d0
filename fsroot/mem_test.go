package fsroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"testing"
)

// If entries are removed while a directory is read in pieces, the reader must not panic, and
// gets the entries at the time it opened the directory.
func TestMemReaddirWhileRemoving(t *testing.T) {
	m := NewMem()
	for i := range 10 {
		put(t, m, fmt.Sprintf("/%d", i), "")
	}
	d, err := m.Open("/")
	check(t, err)
	defer d.Close()
	first, err := d.Readdir(4)
	check(t, err)
	for i := range 10 {
		check(t, m.Remove(fmt.Sprintf("/%d", i)))
	}
	rest, err := d.Readdir(100)
	check(t, err)
	if len(first) != 4 || len(rest) != 6 {
		t.Errorf("read %d and %d entries, want 4 and 6", len(first), len(rest))
	}
	if _, err := d.Readdir(1); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, want EOF", err)
	}
}

func TestMemOpenFileSurvivesRemove(t *testing.T) {
	m := NewMem()
	put(t, m, "/f", "still here")
	f, err := m.Open("/f")
	check(t, err)
	defer f.Close()
	check(t, m.Remove("/f"))
	b, err := io.ReadAll(f)
	check(t, err)
	if string(b) != "still here" {
		t.Errorf("read %q", b)
	}
}

// Many goroutines create, list, move and remove the same names. Each operation must succeed
// or return one of the errors that a race can cause, and nothing may crash.
func TestMemConcurrent(t *testing.T) {
	m := NewMem()
	allowed := []error{fs.ErrNotExist, fs.ErrExist}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				a, b := fmt.Sprintf("/%d", (i+j)%3), fmt.Sprintf("/%d", j%3)
				f, err := m.OpenFile(a, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
				if err == nil {
					_, err = io.WriteString(f, "x")
					err = errors.Join(err, f.Close())
				}
				wantOneOf(t, err, allowed)
				wantOneOf(t, m.Rename(a, b), allowed)
				d, err := m.Open("/")
				if err == nil {
					_, err = d.Readdir(-1)
				}
				wantOneOf(t, err, allowed)
				wantOneOf(t, m.Remove(b), allowed)
			}
		})
	}
	wg.Wait()
}

func wantOneOf(t *testing.T, err error, allowed []error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, a := range allowed {
		if errors.Is(err, a) {
			return
		}
	}
	t.Error(err)
}
