package ftptest_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

const fileSize = 300_000

// files returns a filesystem in memory with one file, which does not fit into one TCP segment.
func files(t *testing.T) afero.Fs {
	t.Helper()
	fsys := afero.NewMemMapFs()
	if err := afero.WriteFile(fsys, "/f", bytes.Repeat([]byte("0123456789"), fileSize/10), 0o644); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func dial(t *testing.T, srv *ftptest.Server, mode ftp.DataMode) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), srv.Addr, &client.Options{Mode: mode, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestFaults makes every fault, in both data modes. The client must not hang, and must
// not report a truncated file as complete.
func TestFaults(t *testing.T) {
	testutil.Long(t)
	isReply := func(code ftp.Code) func(error) bool {
		return func(err error) bool {
			var e *ftp.Error
			return errors.As(err, &e) && e.Code == code
		}
	}
	cut := func(err error) bool { // the client may see the end of the data or the 426 first
		var e *client.TruncatedError
		return errors.As(err, &e) || isReply(426)(err)
	}
	ok := func(err error) bool { return err == nil }
	tests := []struct {
		name  string
		verb  string
		fault ftptest.Fault
		want  func(error) bool
		bytes int64 // -1 means any number
	}{
		{"none", "NOOP", ftptest.Fault{}, ok, fileSize},
		{"refused", "RETR", ftptest.Reply(550, "No."), isReply(550), 0},
		{"cut", "RETR", ftptest.CutAfter(100_000), cut, -1},
		{"cut at once", "RETR", ftptest.CutAfter(0), cut, -1},
		{"short", "RETR", ftptest.ShortAfter(100_000), cut, 100_000},
		{"early reply", "RETR", ftptest.EarlyReply(), ok, fileSize},
		{"lost reply", "RETR", ftptest.LoseReply(), func(err error) bool { return errors.Is(err, client.ErrUnconfirmed) }, fileSize},
		{"hang up", "RETR", ftptest.HangUp(), func(err error) bool { return err != nil }, 0},
		{"stalled", "RETR", ftptest.StallAfter(100_000), func(err error) bool { return err != nil }, -1},
		{"silent", "RETR", ftptest.Silence(), func(err error) bool { return err != nil }, 0},
		{"no EPSV", "EPSV", ftptest.Refuse(), ok, fileSize},
		{"no EPRT", "EPRT", ftptest.Refuse(), ok, fileSize},
		{"no SIZE", "SIZE", ftptest.Refuse(), ok, fileSize},
		{"no FEAT", "FEAT", ftptest.Refuse(), ok, fileSize},
	}
	for _, tt := range tests {
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			t.Run(tt.name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				srv := ftptest.NewServer(t, files(t))
				srv.Fail(tt.verb, tt.fault)
				c := dial(t, srv, mode)
				var got bytes.Buffer
				n, err := c.Retrieve(t.Context(), "/f", &got)
				if !tt.want(err) {
					t.Errorf("the error is %v", err)
				}
				if tt.bytes >= 0 && n != tt.bytes || int64(got.Len()) != n {
					t.Errorf("%d bytes, %d in the buffer, want %d", n, got.Len(), tt.bytes)
				}
				srv.Heal()
				if c.Alive() {
					got.Reset()
					if _, err := c.Retrieve(t.Context(), "/f", &got); err != nil || got.Len() != fileSize {
						t.Errorf("after the fault: %d bytes, %v", got.Len(), err)
					}
				}
			})
		}
	}
}

// TestUploadFaults checks that an upload that was cut fails, and does not get its final name.
func TestUploadFaults(t *testing.T) {
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		t.Run(mode.String(), func(t *testing.T) {
			fsys := files(t)
			srv := ftptest.NewServer(t, fsys)
			srv.Fail("STOR", ftptest.CutAfter(100_000))
			c := dial(t, srv, mode)
			_, err := c.Store(t.Context(), "/new", strings.NewReader(strings.Repeat("x", fileSize)))
			if err == nil {
				t.Fatal("an upload that was cut succeeded")
			}
			if ok, _ := afero.Exists(fsys, "/new"); ok {
				t.Error("an upload that was cut has its final name")
			}
			srv.WaitEvent(func(e ftp.Event) bool {
				d, is := e.What.(ftp.TransferDone)
				return is && d.Err != nil
			})
		})
	}
}

// TestLie checks that the client does not dial another host that a 227 names.
func TestLie(t *testing.T) {
	trap, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", testutil.FreePorts(t, 1)))
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	defer trap.Close()
	srv := ftptest.NewServer(t, files(t))
	srv.Fail("EPSV", ftptest.Refuse())
	srv.Fail("PASV", ftptest.Lie(netip.MustParseAddrPort(trap.Addr().String())))
	c := dial(t, srv, ftp.Passive)
	if _, err := c.Retrieve(t.Context(), "/f", new(bytes.Buffer)); err == nil {
		t.Error("received a file, although the server does not listen on that port")
	}
	_ = trap.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond))
	if conn, err := trap.Accept(); err == nil {
		t.Errorf("the client dialed %v", conn.LocalAddr())
	}
}

// TestIgnoreREST checks that a resume notices that the server has ignored REST.
func TestIgnoreREST(t *testing.T) {
	srv := ftptest.NewServer(t, nil)
	text := make([]byte, fileSize)
	for i := range text {
		text[i] = byte(i * i >> 8)
	}
	if err := afero.WriteFile(srv.FS, "/f", text, 0o644); err != nil {
		t.Fatal(err)
	}
	srv.Fail("REST", ftptest.IgnoreREST())
	local := afero.NewMemMapFs()
	if err := afero.WriteFile(local, ".f.part", text[:100_000], 0o644); err != nil {
		t.Fatal(err)
	}
	c := dial(t, srv, ftp.Passive)
	_, err := c.Download(t.Context(), "/f", "f", client.FileOptions{FS: local, Resume: true})
	var wrong *client.ResumeError
	if !errors.As(err, &wrong) {
		t.Errorf("the error is %v", err)
	}
	if part, _ := afero.ReadFile(local, ".f.part"); !bytes.Equal(part, text[:100_000]) {
		t.Error("the partial file was changed")
	}
}

// TestUsers checks that only users of WithUser may log in, and that no event contains a password.
func TestUsers(t *testing.T) {
	srv := ftptest.NewServer(t, files(t), ftptest.WithUser("alice", "pa55w0rd", server.ReadOnly))
	if _, err := client.Dial(t.Context(), srv.Addr, nil); err == nil {
		t.Error("anonymous could log in")
	}
	c := srv.Client()
	if _, err := c.Store(t.Context(), "/x", strings.NewReader("x")); err == nil {
		t.Error("a read-only user could write")
	}
	if seen := fmt.Sprintf("%+v %+v", srv.Events(), srv.Commands()); strings.Contains(seen, "pa55w0rd") || !strings.Contains(seen, "alice") {
		t.Error("an event contains the password, or there are no events")
	}
}
