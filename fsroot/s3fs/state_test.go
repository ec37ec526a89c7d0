package s3fs_test

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"miniftp/internal/s3peer"
)

// Values change by conditional requests: of concurrent changes through two gateways none is lost.
func TestState(t *testing.T) {
	dir := t.TempDir()
	a := open(t, s3peer.Start(t, dir), "", "").State()
	b := open(t, s3peer.Start(t, dir), "", "").State()
	_, _, err := a.Get(t.Context(), "n/1")
	wantErr(t, err, fs.ErrNotExist)
	first, err := a.Put(t.Context(), "n/1", []byte("0"), "")
	check(t, err)
	_, err = b.Put(t.Context(), "n/1", []byte("1"), "")
	wantErr(t, err, syscall.ESTALE)
	_, err = b.Put(t.Context(), "n/2", []byte("1"), first)
	wantErr(t, err, syscall.ESTALE)

	var wg sync.WaitGroup
	const writers, each = 4, 10
	for i := range writers {
		s := a
		if i%2 == 1 {
			s = b
		}
		wg.Go(func() {
			for done := 0; done < each; {
				value, version, err := s.Get(t.Context(), "n/1")
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(value))
				_, err = s.Put(t.Context(), "n/1", []byte(strconv.Itoa(n+1)), version)
				switch {
				case err == nil:
					done++
				case !errors.Is(err, syscall.ESTALE):
					t.Error(err)
					return
				default:
					time.Sleep(5 * time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	value, version, err := b.Get(t.Context(), "n/1")
	check(t, err)
	if string(value) != strconv.Itoa(writers*each) {
		t.Errorf("after %d changes: %s", writers*each, value)
	}

	_, err = a.Put(t.Context(), "m/x", []byte("x"), "")
	check(t, err)
	var keys []string
	for key, err := range b.Keys(t.Context(), "n/") {
		check(t, err)
		keys = append(keys, key)
	}
	if !slices.Equal(keys, []string{"n/1"}) {
		t.Errorf("keys %q", keys)
	}
	wantErr(t, a.Delete(t.Context(), "n/1", first), syscall.ESTALE)
	check(t, a.Delete(t.Context(), "n/1", version))
	_, _, err = b.Get(t.Context(), "n/1")
	wantErr(t, err, fs.ErrNotExist)
}
