package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// many runs f n times concurrently and joins the errors.
func many(n int, f func(i int) error) error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Many operations share few connections: all succeed, no two use a connection at the same time, and no more
// connections are made than allowed.
func TestPool(t *testing.T) {
	fsys := afero.NewMemMapFs()
	body := testutil.Noise(100_000)
	if err := afero.WriteFile(fsys, "/f", body, 0o644); err != nil {
		t.Fatal(err)
	}
	srv := ftptest.NewServer(t, fsys)
	p := client.NewPool(srv.Addr, 3, nil)
	var inside, most atomic.Int32
	err := many(24, func(i int) error {
		return p.Do(t.Context(), func(c *client.Client) error {
			most.Store(max(most.Load(), inside.Add(1)))
			defer inside.Add(-1)
			var got bytes.Buffer
			if _, err := c.Retrieve(t.Context(), "/f", &got); err != nil || !bytes.Equal(got.Bytes(), body) {
				return fmt.Errorf("retrieve: %d bytes, %w", got.Len(), err)
			}
			_, err := c.Store(t.Context(), fmt.Sprintf("/up%d", i), bytes.NewReader(body))
			return err
		})
	})
	if err != nil {
		t.Error(err)
	}
	if most.Load() > 3 || p.Size() != 3 {
		t.Errorf("%d operations at once, but the size is %d", most.Load(), p.Size())
	}
	if n := opened(srv); n > 3 {
		t.Errorf("%d connections were made", n)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Do(t.Context(), func(*client.Client) error { return nil }); !errors.Is(err, client.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// opened returns how many control connections the server has seen.
func opened(srv *ftptest.Server) (n int) {
	for _, e := range srv.Events() {
		if _, ok := e.What.(ftp.ControlOpened); ok {
			n++
		}
	}
	return n
}

// If a server accepts fewer connections, the Pool gets smaller and nothing fails.
func TestPoolAdapts(t *testing.T) {
	for name, limit := range map[string]func(o *server.Options){
		"421 at the door": func(o *server.Options) { o.MaxSessions = 2 },
		"one of a user":   func(o *server.Options) { o.Auth = limited() },
	} {
		t.Run(name, func(t *testing.T) {
			fsys := afero.NewMemMapFs()
			srv := ftptest.NewServer(t, fsys, ftptest.WithOptions(limit))
			p := client.NewPool(srv.Addr, 8, nil)
			defer p.Close()
			err := many(40, func(i int) error {
				return p.Do(t.Context(), func(c *client.Client) error {
					_, err := c.Store(t.Context(), fmt.Sprintf("/up%d", i), bytes.NewReader([]byte("content")))
					return err
				})
			})
			if err != nil {
				t.Error(err)
			}
			if n := p.Size(); n > 2 {
				t.Errorf("the size is %d", n)
			}
		})
	}
}

func limited() server.Authenticator {
	fsys := afero.NewMemMapFs()
	return server.AuthenticatorFunc(func(context.Context, server.Login) (*server.Account, error) {
		return &server.Account{FS: fsys, Perm: server.ReadWrite, MaxSessions: 2}, nil
	})
}

// A refused login is an error, not a reason to wait for other connections.
func TestPoolRefused(t *testing.T) {
	srv := ftptest.NewServer(t, nil, ftptest.WithUser("u", "p", server.ReadWrite))
	p := client.NewPool(srv.Addr, 4, &client.Options{User: "u", Password: "wrong"})
	defer p.Close()
	err := p.Do(t.Context(), func(*client.Client) error { return nil })
	var reply *ftp.Error
	if !errors.As(err, &reply) || reply.Verb != "PASS" {
		t.Errorf("the error is %v", err)
	}
}

// A connection that failed is replaced, and waiting callers are served.
func TestPoolReplacesTheDead(t *testing.T) {
	srv := ftptest.NewServer(t, nil)
	p := client.NewPool(srv.Addr, 1, nil)
	defer p.Close()
	srv.Fail("NOOP", ftptest.HangUp())
	err := p.Do(t.Context(), func(c *client.Client) error {
		_, err := c.Command(t.Context(), "NOOP", "")
		return err
	})
	var dead *client.DeadError
	if !errors.As(err, &dead) {
		t.Errorf("the error is %v", err)
	}
	srv.Heal()
	err = p.Do(t.Context(), func(c *client.Client) error {
		_, err := c.Command(t.Context(), "NOOP", "")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A wait for a connection ends with its context, and the next caller gets its turn.
func TestPoolWaitEnds(t *testing.T) {
	srv := ftptest.NewServer(t, nil)
	p := client.NewPool(srv.Addr, 1, nil)
	c, err := p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	gone := make(chan error, 1)
	go func() {
		_, err := p.Get(ctx)
		gone <- err
	}()
	next := make(chan error, 1)
	go func() { next <- p.Do(t.Context(), func(*client.Client) error { return nil }) }()
	cancel(why)
	if err := <-gone; !errors.Is(err, why) {
		t.Errorf("the error is %v", err)
	}
	p.Put(c)
	if err := <-next; err != nil {
		t.Error(err)
	}
	closed := make(chan struct{})
	c, err = p.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	go func() { defer close(closed); _ = p.Close() }()
	if _, err := c.Retrieve(t.Context(), "/none", io.Discard); err == nil {
		t.Error("Retrieve of a missing file returned no error")
	}
	p.Put(c)
	<-closed
	_ = p.Close() // a second Close does no harm
}
