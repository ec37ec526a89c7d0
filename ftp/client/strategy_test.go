package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// healing returns a Retry of three tries without a pause, before each of which the server recovers.
func healing(srv *ftptest.Server) client.Retry {
	return client.Retry{
		Times: 3, Wait: func(int) time.Duration { return 0 },
		Notify: func(error, time.Duration) { srv.Heal() },
	}
}

// TestPoolTriesAgain checks that a failed transfer of a Pool is tried again and continues where it stopped. Without a
// Retry it is not.
func TestPoolTriesAgain(t *testing.T) {
	body := testutil.Noise(1 << 20)
	for _, verb := range []string{"RETR", "STOR"} {
		for _, times := range []int{0, 3} {
			srv := ftptest.NewServer(t, fsroot.NewMem())
			seen := &counting{}
			p := client.NewPool(srv.Addr, 1, &client.Options{Observer: seen})
			here := afero.NewMemMapFs()
			from, to := srv.FS, here
			if verb == "STOR" {
				from, to = here, srv.FS
			}
			testutil.Must(t, afero.WriteFile(from, "/f", body, 0o644))
			srv.Fail(verb, ftptest.CutAfter(500_000))
			o := client.FileOptions{Retry: healing(srv)}
			o.Retry.Times = times
			move := func() (client.Result, error) { return p.Download(t.Context(), "/f", "/f", over(here, o)) }
			if verb == "STOR" {
				move = func() (client.Result, error) { return p.Upload(t.Context(), "/f", "/f", over(here, o)) }
			}
			_, err := move()
			if (err == nil) != (times > 0) {
				t.Errorf("%s, %d more tries: %v", verb, times, err)
			}
			got, _ := afero.ReadFile(to, "/f")
			if times > 0 && (!bytes.Equal(got, body) || seen.commands["REST"] == 0) {
				t.Errorf("%s: %d bytes, %v", verb, len(got), seen.commands)
			}
			_ = p.Close()
		}
	}
}

// TestClientTriesAgain checks that a Client tries again only while its connection is open.
func TestClientTriesAgain(t *testing.T) {
	for name, f := range map[string]ftptest.Fault{"": ftptest.Reply(450, "Not now."), "hangs up": ftptest.HangUp()} {
		srv := ftptest.NewServer(t, nil)
		testutil.Grow(t, srv.FS, map[string]string{"/f": "text"})
		c, err := client.Dial(t.Context(), srv.Addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		srv.Fail("RETR", f)
		here, told := afero.NewMemMapFs(), 0
		o := client.FileOptions{Retry: healing(srv)}
		o.Retry.Notify = func(error, time.Duration) { told++; srv.Heal() }
		_, err = c.Download(t.Context(), "/f", "/f", over(here, o))
		if (err == nil) != (name == "") || (told == 1) != (name == "") {
			t.Errorf("%q: %v, tried again %d times", name, err, told)
		}
		_ = c.Close()
	}
}

// TestParallel: more small files are under way at once if the server is far, whose round trips they share.
func TestParallel(t *testing.T) {
	parallel := func(options ...ftptest.Option) int {
		srv := ftptest.NewServer(t, fsroot.NewMem(), options...)
		p := client.NewPool(srv.Addr, 2, nil)
		defer p.Close()
		return p.Parallel(t.Context())
	}
	if got := parallel(ftptest.WithLatency(5 * time.Millisecond)); got != client.ChainWindow {
		t.Errorf("%d at once to a server that is far", got)
	}
	got := 0
	for range 50 { // on a busy machine, a near server may reply late
		if got = parallel(); got == client.NearWindow {
			return
		}
	}
	t.Errorf("%d at once to a server that is near", got)
}

// TestSeveral checks that small files share a data connection. A file that the server refuses temporarily is tried
// again if Retry says so.
func TestSeveral(t *testing.T) {
	const n = 40
	for name, tt := range map[string]struct {
		fault ftptest.Fault
		times int
		ok    bool
	}{
		"well":            {ftptest.Fault{}, 0, true},
		"not now":         {ftptest.Reply(450, "Not now."), 0, false},
		"not now, but in": {ftptest.Reply(450, "Not now."), 3, true},
	} {
		srv := ftptest.NewServer(t, fsroot.NewMem())
		plantSmall(t, srv.FS, n)
		seen := &counting{}
		p := client.NewPool(srv.Addr, 2, &client.Options{Observer: seen})
		if got := p.Parallel(t.Context()); got != client.ChainWindow && got != client.NearWindow {
			t.Errorf("%d at once", got)
		}
		srv.Fail("RETR", tt.fault)
		here := fsroot.NewMem()
		o := client.FileOptions{Several: true, Retry: healing(srv)}
		o.Retry.Times = tt.times
		err := many(n, func(i int) error {
			o, name := o, fmt.Sprintf("/%d", i)
			o.Listed = listed(len(small(i)))
			_, err := p.Download(t.Context(), name, name, over(here, o))
			return err
		})
		if (err == nil) != tt.ok || !tt.ok && !isNow(err) {
			t.Errorf("%s: %v", name, err)
		}
		if tt.times == 0 && seen.opened > 2 {
			t.Errorf("%s: %d data connections", name, seen.opened)
		}
		if tt.ok {
			checkSmall(t, here, n)
		}
		_ = p.Close()
	}
}

// isNow reports whether err is a temporary refusal.
func isNow(err error) bool {
	var no *ftp.Error
	return errors.As(err, &no) && no.Code == 450
}

// TestTransferEndsWithContext checks that a transfer ends with its context while it waits for its turn,
// or for the server's reply whether small files can share a connection.
func TestTransferEndsWithContext(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "text"
		f.Feat = append(f.Feat, "MODE B AHEAD")
		f.On["MODE"] = func(*fakeserver.Session, string) {} // the server never answers
		f.On["RETR"] = func(*fakeserver.Session, string) {}
	})
	p := client.NewPool(f.Addr, 1, &client.Options{Timeout: time.Minute})
	t.Cleanup(func() { _ = p.Close() })
	here := afero.NewMemMapFs()
	ended := func(o client.FileOptions) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		began := time.Now()
		_ = many(3, func(i int) error {
			_, err := p.Download(ctx, "/f", fmt.Sprintf("/%d", i), over(here, o))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			return nil
		})
	}
	ended(client.FileOptions{})
	ended(client.FileOptions{Several: true, Listed: listed(4)})
}
