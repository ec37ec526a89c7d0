package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// TestChainEndsWithContext checks that a Download in a chain ends soon after its context if the server stops answering,
// whether it was sent or is still queued.
func TestChainEndsWithContext(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	f := fakeserver.New(t, fakeserver.Blocks(func(s *fakeserver.Session, _ net.Conn, _ string) { _, _ = io.Copy(io.Discard, s.In) }))
	p := client.NewPool(f.Addr, 1, &client.Options{Timeout: 30 * time.Second})
	t.Cleanup(func() { _ = p.Close() })
	all, end := context.WithCancel(t.Context())
	defer end()
	chain := p.Chain(all)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	errs := make([]error, 12)
	_ = many(len(errs), func(i int) error {
		name := fmt.Sprintf("f%02d", i)
		_, errs[i] = chain.Download(ctx, "/d/"+name, name, client.FileOptions{FS: fsroot.NewMem(), Listed: listed(10)})
		return nil
	})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	cancelled := 0
	for _, err := range errs {
		if errors.Is(err, context.DeadlineExceeded) {
			cancelled++
		}
	}
	if cancelled == 0 {
		t.Errorf("no download was cancelled: %v", errs)
	}
}

// TestChainNeedsFeature checks that a server that accepts MODE B, but does not list the feature, gets no chain.
func TestChainNeedsFeature(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"SIZE", "MODE Z", "EPSV"}
		f.On["MODE"] = func(s *fakeserver.Session, _ string) { s.Say("200 whatever you say") }
	})
	p := client.NewPool(f.Addr, 1, nil)
	t.Cleanup(func() { _ = p.Close() })
	if p.Chain(t.Context()) != nil || f.Count("MODE") > 0 {
		t.Errorf("got a chain, or MODE was sent (%d times)", f.Count("MODE"))
	}
}
