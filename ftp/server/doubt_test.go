package server_test

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"testing"

	"miniftp/ftp/internal/testutil"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

func accepts(d server.Doubt, compat server.Compat) func(*server.Options) {
	return func(o *server.Options) {
		users := o.Auth.(server.Static)
		u := users["rw"]
		u.Account.Accept, u.Account.Compat = d, compat
		users["rw"] = u
	}
}

// Devices that close the control connection right after the last byte, with and without TLS and close_notify:
// which of their uploads get the final name.
func TestUploadOfAClientThatHangsUp(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	const inClear, notify, bare = "clear", "TLS", "TLS without close_notify"
	for _, tc := range []struct {
		accept server.Doubt
		compat server.Compat
		whole  []string
		cut    []string
	}{
		{0, 0, []string{notify}, []string{inClear, bare}},
		{server.DoubtHangUp, 0, []string{inClear, notify}, []string{bare}},
		{server.DoubtNoCloseNotify, 0, []string{notify}, []string{inClear, bare}},
		{server.DoubtHangUp | server.DoubtNoCloseNotify, 0, []string{inClear, notify, bare}, nil},
		{0, server.CompatDevice, []string{inClear, notify, bare}, nil},
	} {
		fsys := fsroot.NewMem()
		var over atomic.Int32
		s := serve(t, fsys, withTLS, accepts(tc.accept, tc.compat), func(o *server.Options) {
			o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
				done, ok := e.What.(ftp.TransferDone)
				if !ok {
					return
				}
				over.Add(1)
				if want := doubtOf(tc.whole, done.Path); done.Err == nil && done.Doubt != want {
					t.Errorf("%v, %v: %s has the doubt %q, want %q", tc.accept, tc.compat, done.Path, done.Doubt, want)
				}
			})
		})
		upload := func(how, name string) {
			c := s.connect(t)
			raw := c.Conn
			var d interface {
				Write(b []byte) (int, error)
				Close() error
			}
			if how == inClear {
				c.cmd("USER rw", 331)
				c.cmd("PASS rw", 230)
				d = c.starts("STOR " + name)
			} else {
				sec := c.secure(clientConfig(tls.VersionTLS13)).private("rw")
				conn := sec.over("STOR " + name)
				check(t, conn.Handshake())
				if d = conn; how == bare {
					d = &bareEnd{conn}
				}
			}
			_, err := d.Write(random(100_000))
			check(t, err)
			check(t, testutil.CloseNow(raw)) // before the data, so that the server certainly sees it
			check(t, d.Close())
		}
		for i, how := range append(append([]string{}, tc.whole...), tc.cut...) {
			for n := range 10 {
				upload(how, fmt.Sprintf("/%d.%d", i, n))
			}
		}
		hows := append(append([]string{}, tc.whole...), tc.cut...)
		await(t, func() bool { return int(over.Load()) == 10*len(hows) })
		for i, how := range hows {
			for n := range 10 {
				name := fmt.Sprintf("/%d.%d", i, n)
				if got, want := exists(fsys, name), i < len(tc.whole); got != want {
					t.Errorf("%v, %v: %s: %s has the final name: %v, want %v", tc.accept, tc.compat, how, name, got, want)
				}
			}
		}
	}
}

// doubtOf returns the doubt about an upload of TestUploadOfAClientThatHangsUp.
func doubtOf(hows []string, path string) string {
	i := int(path[1] - '0')
	return map[string]string{"clear": "hang-up", "TLS": "", "TLS without close_notify": "hang-up, no-close-notify"}[hows[i]]
}

// bareEnd closes the TCP connection without close_notify.
type bareEnd struct{ *tls.Conn }

func (b *bareEnd) Close() error { return b.NetConn().Close() }

// A device that ends TLS uploads without close_notify and waits for the reply gets a 226 if its account accepts
// that.
func TestAcceptNoCloseNotify(t *testing.T) {
	fsys := fsroot.NewMem()
	s := serve(t, fsys, withTLS, accepts(server.DoubtNoCloseNotify, 0))
	c := s.connect(t).secure(clientConfig(tls.VersionTLS13)).private("rw")
	d := c.over("STOR f")
	_, err := d.Write([]byte("content"))
	check(t, err)
	check(t, d.NetConn().Close())
	c.want(226)
	if got := read(t, fsys, "/f"); got != "content" {
		t.Errorf("stored %q", got)
	}
}
