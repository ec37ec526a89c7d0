package client_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
)

// storing is how long a lateFs takes to store a file that has arrived.
const storing = 60 * time.Millisecond

// lateFs has files whose Close takes a while, as on a slow disk.
type lateFs struct{ afero.Fs }

func (l lateFs) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	f, err := l.Fs.OpenFile(name, flag, perm)
	if err != nil || flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		return f, err
	}
	return lateFile{f}, nil
}

type lateFile struct{ afero.File }

func (l lateFile) Close() error {
	time.Sleep(storing)
	return l.File.Close()
}

// stores records how long each STOR took.
type stores struct {
	mu   sync.Mutex
	took []time.Duration
}

func (s *stores) Observe(e ftp.Event) {
	if h, ok := e.What.(ftp.TransferDone); ok && h.Verb == "STOR" {
		s.mu.Lock()
		s.took = append(s.took, h.Took)
		s.mu.Unlock()
	}
}

// The time of an upload includes the wait for the final reply: the bytes are written to the socket much earlier.
func TestTookUntilFinalReply(t *testing.T) {
	srv := ftptest.NewServer(t, lateFs{fsroot.NewMem()})
	seen := new(stores)
	c, err := client.Dial(t.Context(), srv.Addr, &client.Options{Observer: seen})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	res, err := c.StoreWith(t.Context(), client.Transfer{Path: "a"}, strings.NewReader("text"))
	if err != nil || res.Took < storing || len(seen.took) != 1 || seen.took[0] < storing {
		t.Errorf("%v, %v, %v", res.Took, seen.took, err)
	}
	if res, err := c.RetrieveWith(t.Context(), client.Transfer{Path: "a"}, new(strings.Builder)); err != nil || res.Took <= 0 {
		t.Errorf("Retrieve took %v, %v", res.Took, err)
	}
}

// The same for the files of a chain.
func TestTookOfChain(t *testing.T) {
	srv := ftptest.NewServer(t, lateFs{fsroot.NewMem()})
	seen := new(stores)
	here := disk(t, map[string]string{"/a": "one", "/b": "two", "/c": "three"})
	p := client.NewPool(srv.Addr, 1, &client.Options{Observer: seen})
	defer p.Close()
	ch := p.Chain(t.Context())
	err := many(3, func(i int) error {
		_, err := ch.Upload(t.Context(), []string{"/a", "/b", "/c"}[i], fmt.Sprint("/", i), client.FileOptions{FS: here})
		return err
	})
	if err != nil || len(seen.took) != 3 {
		t.Fatalf("the times are %v, %v; want three", seen.took, err)
	}
	for _, took := range seen.took {
		if took < storing {
			t.Errorf("an upload took %v, less than storing it", took)
		}
	}
}
