package client_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// fetchSegments downloads /f over up to n connections and returns what is at the destination.
func fetchSegments(t *testing.T, addr string, o *client.Options, here afero.Fs, fo client.FileOptions, n int) (client.Result, error) {
	t.Helper()
	slow := client.Options{}
	if o != nil {
		slow = *o
	}
	slow.Rate = 40 << 20 // slow, so that others can join
	fo.Connections = n
	p := client.NewPool(addr, n, &slow)
	defer p.Close()
	name := "f"
	return p.Download(t.Context(), name, "/f", over(here, fo))
}

func onDisk(t *testing.T) afero.Fs { return afero.NewBasePathFs(afero.NewOsFs(), t.TempDir()) }

func wantFile(t *testing.T, fsys afero.Fs, want []byte) {
	t.Helper()
	got, err := afero.ReadFile(fsys, "/f")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
	}
	if all := testutil.NamesIn(t, fsys); !slices.Equal(all, []string{"f"}) {
		t.Errorf("other files: %q", all)
	}
}

// TestSegmentsPeers downloads a large file over four connections, from every stock server.
func TestSegmentsPeers(t *testing.T) {
	t.Parallel()
	body := testutil.Noise(40 << 20)
	for _, name := range peers.Names() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := afero.WriteFile(afero.NewOsFs(), dir+"/f", body, 0o644); err != nil {
				t.Fatal(err)
			}
			s := peers.Start(t, name, dir, peers.Options{})
			var rests atomic.Int32
			seen := ftp.ObserverFunc(func(e ftp.Event) {
				if c, ok := e.What.(ftp.CommandGiven); ok && c.Command.Verb == "REST" && c.Command.Arg != "0" {
					rests.Add(1)
				}
			})
			here := onDisk(t)
			var mu sync.Mutex
			var last int64
			res, err := fetchSegments(t, s.Addr, &client.Options{User: s.User, Password: s.Password, Observer: seen}, here, client.FileOptions{
				KeepTime: true,
				Progress: func(done, total int64) {
					mu.Lock()
					defer mu.Unlock()
					if done < last || total != int64(len(body)) {
						t.Errorf("progress: %d of %d after %d", done, total, last)
					}
					last = done
				},
			}, 4)
			if err != nil || res.Bytes != int64(len(body)) || last != res.Bytes {
				t.Errorf("%+v %v, progress %d", res, err, last)
			}
			if rests.Load() < 1 {
				t.Errorf("%d segments began in the middle", rests.Load())
			}
			wantFile(t, here, body)
		})
	}
}

// TestSegmentsFaults checks that faults which can be handled result in the right file, and that others leave nothing
// under its name.
func TestSegmentsFaults(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	body := testutil.Noise(40 << 20)
	site := fsroot.NewMem()
	if err := afero.WriteFile(site, "/f", body, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(*ftptest.Server){
		"well":         func(*ftptest.Server) {},
		"REST refused": func(s *ftptest.Server) { s.Fail("REST", ftptest.Refuse()) },
		"REST ignored": func(s *ftptest.Server) { s.Fail("REST", ftptest.IgnoreREST()) },
		"no SIZE":      func(s *ftptest.Server) { s.Fail("SIZE", ftptest.Refuse()) },
		"all cut":      func(s *ftptest.Server) { s.Fail("RETR", ftptest.CutAfter(3<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := ftptest.NewServer(t, site)
			set(srv)
			here := onDisk(t)
			again := client.Retry{Times: 10_000, Wait: func(int) time.Duration { return 0 }}
			_, err := fetchSegments(t, srv.Addr, nil, here, client.FileOptions{Retry: again}, 4)
			if err != nil {
				t.Fatal(err)
			}
			wantFile(t, here, body)
		})
	}
	t.Run("few connections", func(t *testing.T) {
		srv := ftptest.NewServer(t, site, ftptest.WithOptions(func(o *server.Options) { o.MaxSessions = 1 }))
		here := onDisk(t)
		if _, err := fetchSegments(t, srv.Addr, nil, here, client.FileOptions{}, 4); err != nil {
			t.Fatal(err)
		}
		wantFile(t, here, body)
	})
	t.Run("not there", func(t *testing.T) {
		srv := ftptest.NewServer(t, fsroot.NewMem())
		here := onDisk(t)
		_, err := fetchSegments(t, srv.Addr, nil, here, client.FileOptions{}, 4)
		var no *ftp.Error
		if !errors.As(err, &no) || len(testutil.NamesIn(t, here)) != 0 {
			t.Errorf("%v, %q", err, testutil.NamesIn(t, here))
		}
	})
}

// TestSegmentsInterrupted checks that only the beginning without a gap is kept and continued, and that a part of
// another file is detected.
func TestSegmentsInterrupted(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	body := testutil.Noise(40 << 20)
	site := fsroot.NewMem()
	if err := afero.WriteFile(site, "/f", body, 0o644); err != nil {
		t.Fatal(err)
	}
	srv := ftptest.NewServer(t, site)
	here := onDisk(t)
	p := client.NewPool(srv.Addr, 4, &client.Options{Rate: 20 << 20})
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := p.Download(ctx, "/f", "/f", client.FileOptions{FS: here, Connections: 4, Progress: func(done, _ int64) {
		if done > 20<<20 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	head, err := afero.ReadFile(here, "/.f.part")
	if err != nil || len(head) == 0 || !bytes.HasPrefix(body, head) || !slices.Equal(testutil.NamesIn(t, here), []string{".f.part"}) {
		t.Fatalf("%d bytes are kept, %v, %q", len(head), err, testutil.NamesIn(t, here))
	}
	res, err := p.Download(t.Context(), "/f", "/f", client.FileOptions{FS: here, Resume: true, Connections: 4})
	if err != nil || res.Bytes != int64(len(body)-len(head)) {
		t.Errorf("%+v, %v: %d were there", res, err, len(head))
	}
	wantFile(t, here, body)

	other := fsroot.NewMem()
	wrong := bytes.Repeat([]byte("other"), 200_000)
	if err := afero.WriteFile(other, "/.f.part", wrong, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = p.Download(t.Context(), "/f", "/f", client.FileOptions{FS: other, Resume: true, Connections: 4})
	var no *client.ResumeError
	left, _ := afero.ReadFile(other, "/.f.part")
	if !errors.As(err, &no) || !bytes.Equal(left, wrong) {
		t.Errorf("%v, %d bytes are left", err, len(left))
	}
}
