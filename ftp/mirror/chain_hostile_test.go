package mirror_test

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

// TestChainHostile checks that no file gets the bytes of another one, whatever one transfer of a chain does,
// and that all files arrive in the end.
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
		"refused after all bytes": func(s *fakeserver.Session, data net.Conn, block string) {
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, block)
			s.Say("451 sorry")
		},
		"a reply to another command": func(s *fakeserver.Session, _ net.Conn, _ string) { s.Say("229 come (|||1|)") },
		"another size": func(s *fakeserver.Session, data net.Conn, block string) {
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, "\x40\x00\x05"+block[3:8])
			s.Say("226 done")
		},
		"not a block": func(s *fakeserver.Session, data net.Conn, _ string) {
			s.Say("125 here it comes")
			_, _ = io.WriteString(data, "\xff\xff\xff")
			_ = data.Close()
			s.Say("226 done")
		},
		"endless replies": func(s *fakeserver.Session, _ net.Conn, _ string) {
			for range 20_000 {
				s.Say("150 here it comes")
			}
		},
		"hangs up": func(s *fakeserver.Session, _ net.Conn, _ string) { _ = s.Conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			f := fakeserver.New(t, fakeserver.Blocks(third))
			tree, _ := remoteTree(t, f.Addr, &client.Options{Timeout: 5 * time.Second}, 1, "/d")
			here := fsroot.NewMem()
			res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: here, Root: "/d"}, Retry: client.Retry{Times: 2}})
			if err != nil || res.Files != 12 {
				t.Errorf("%+v, %v; want 12 files", res, err)
			}
			for i := range 12 {
				if got := testutil.Contents(t, here, fmt.Sprintf("/d/f%02d", i)); got != fmt.Sprintf("%010d", i) {
					t.Errorf("file %d: %q", i, got)
				}
			}
		})
	}
}

// If the reply to a transfer comes but its bytes do not, they are waited for as long as in any transfer.
func TestChainBytesMissing(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	f := fakeserver.New(t, fakeserver.Blocks(func(s *fakeserver.Session, _ net.Conn, _ string) { s.Raw("125 here it comes\r\n226 done\r\n") }))
	tree, _ := remoteTree(t, f.Addr, &client.Options{Timeout: time.Second}, 1, "/d")
	res, err := mirror.Run(t.Context(), mirror.Plan{From: tree, To: mirror.Tree{FS: fsroot.NewMem(), Root: "/d"}})
	if err != nil || res.Files != 12 {
		t.Errorf("%+v, %v; want 12 files", res, err)
	}
}
