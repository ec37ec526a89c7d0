package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// blockServer is a fake server with block mode, whose third RETR of it misbehaves. All files
// have the same size, so that only the order of replies and bytes tells them apart.
func blockServer(t *testing.T, third func(s *fakeserver.Session, data net.Conn, block string)) *fakeserver.Server {
	const files = 12
	return fakeserver.New(t, func(f *fakeserver.Server) {
		var list strings.Builder
		for i := range files {
			name := fmt.Sprintf("f%02d", i)
			f.Files["/d/"+name] = fmt.Sprintf("%010d", i)
			fmt.Fprintf(&list, "type=file;size=10;modify=20240102030405; %s\r\n", name)
		}
		f.Feat = append(f.Feat, "MODE B AHEAD", "MLST type*;size*;modify*;")
		f.Dirs["/d"] = list.String()
		f.On["MLST"] = func(s *fakeserver.Session, _ string) { s.Raw("250-facts\r\n type=dir; /d\r\n250 end\r\n") }
		var mu sync.Mutex
		kept, n := map[*fakeserver.Session]net.Conn{}, 0
		f.On["MODE"] = func(s *fakeserver.Session, arg string) {
			mu.Lock()
			defer mu.Unlock()
			if c := kept[s]; c != nil {
				_ = c.Close()
			}
			delete(kept, s)
			if arg == "B" {
				kept[s] = nil
			}
			s.Say("200 mode " + arg)
		}
		f.On["MLSD"] = func(s *fakeserver.Session, arg string) {
			mu.Lock()
			defer mu.Unlock()
			data, inBlocks := kept[s]
			if !inBlocks {
				s.Behave("MLSD", arg)
				return
			}
			if data == nil {
				data = s.Data()
				kept[s] = data
			}
			s.Say("125 here it comes")
			text := f.Dirs[arg]
			_, _ = data.Write(append([]byte{0x40, byte(len(text) >> 8), byte(len(text))}, text...))
			s.Say("226 done")
		}
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			mu.Lock()
			defer mu.Unlock()
			data, inBlocks := kept[s]
			if !inBlocks {
				s.Behave("RETR", arg)
				return
			}
			if data == nil {
				data = s.Data()
				kept[s] = data
			}
			text, _ := f.File(arg)
			block := "\x40\x00\x0a" + text
			if n++; n == 3 {
				third(s, data, block)
				return
			}
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, block)
			s.Say("226 done")
		}
	})
}

// TestChainHostile: whatever one transfer of a chain does, no file gets another one's
// bytes, and all of them come in the end.
func TestChainHostile(t *testing.T) {
	for name, third := range map[string]func(s *fakeserver.Session, data net.Conn, block string){
		"no reply before the bytes": func(s *fakeserver.Session, data net.Conn, block string) {
			_, _ = io.WriteString(data, block)
			s.Say("226 done")
		},
		"two final replies": func(s *fakeserver.Session, data net.Conn, block string) {
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, block)
			s.Raw("226 done\r\n226 done\r\n")
		},
		"refused in the middle": func(s *fakeserver.Session, data net.Conn, block string) {
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, "\x00"+block[1:8])
			s.Say("451 sorry")
		},
		"refused, and whole": func(s *fakeserver.Session, data net.Conn, block string) {
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, block)
			s.Say("451 sorry")
		},
		"an answer to something else": func(s *fakeserver.Session, _ net.Conn, _ string) { s.Say("229 come (|||1|)") },
		"another size": func(s *fakeserver.Session, data net.Conn, block string) {
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, "\x40\x00\x05"+block[3:8])
			s.Say("226 done")
		},
		"no block at all": func(s *fakeserver.Session, data net.Conn, _ string) {
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, "\xff\xff\xff")
			_ = data.Close()
			s.Say("226 done")
		},
		"replies without end": func(s *fakeserver.Session, _ net.Conn, _ string) {
			for range 20_000 {
				s.Say("150 here it comes")
			}
		},
		"hangs up": func(s *fakeserver.Session, _ net.Conn, _ string) { _ = s.Conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			f := blockServer(t, third)
			tree, _ := remoteTree(t, f.Addr, &client.Options{Timeout: 5 * time.Second}, 1, "/d")
			here := fsroot.NewMem()
			res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/d"}, Retry: client.Retry{Times: 2}})
			if err != nil || res.Files != 12 {
				t.Errorf("%+v, %v", res, err)
			}
			for i := range 12 {
				if got := contents(t, here, fmt.Sprintf("/d/f%02d", i)); got != fmt.Sprintf("%010d", i) {
					t.Errorf("file %d: %q", i, got)
				}
			}
		})
	}
}

// Bytes that never come although their reply did are waited for as long as for any.
func TestChainBytesMissing(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	f := blockServer(t, func(s *fakeserver.Session, _ net.Conn, _ string) { s.Raw("125 here it comes\r\n226 done\r\n") })
	tree, _ := remoteTree(t, f.Addr, &client.Options{Timeout: time.Second}, 1, "/d")
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: fsroot.NewMem(), Root: "/d"}})
	if err != nil || res.Files != 12 {
		t.Errorf("%+v, %v", res, err)
	}
}

// TestChainHeedsContext: a Download that waits in a chain, for a server that has stopped
// talking, ends soon after its context does, whether it was sent or still waits.
func TestChainHeedsContext(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	f := blockServer(t, func(s *fakeserver.Session, _ net.Conn, _ string) { _, _ = io.Copy(io.Discard, s.In) })
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
		t.Errorf("got %v", errs)
	}
}

// TestChainNeedsFeature: a server that says 200 to MODE B, but does not name it among its
// features, is not asked for it.
func TestChainNeedsFeature(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = []string{"SIZE", "MODE Z", "EPSV"}
		f.On["MODE"] = func(s *fakeserver.Session, _ string) { s.Say("200 whatever you say") }
	})
	p := client.NewPool(f.Addr, 1, nil)
	t.Cleanup(func() { _ = p.Close() })
	if p.Chain(t.Context()) != nil || f.Count("MODE") > 0 {
		t.Errorf("there is a chain; MODE was sent %d times", f.Count("MODE"))
	}
}
