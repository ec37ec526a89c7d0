package ftptest_test

import (
	"bytes"
	"errors"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"miniftp/ftp/internal/testutil"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/ftptest"
)

// TestNetworkFaults makes faults of the network and checks how the client reports them.
func TestNetworkFaults(t *testing.T) {
	testutil.Long(t)
	isReply := func(code ftp.Code) func(error) bool {
		return func(err error) bool {
			var e *ftp.Error
			return errors.As(err, &e) && e.Code == code
		}
	}
	notOpened := func(err error) bool {
		var open *dtp.OpenError
		return errors.As(err, &open)
	}
	tests := []struct {
		name  string
		mode  ftp.DataMode
		verbs client.Verbs
		verb  string
		fault ftptest.Fault
		want  func(error) bool
	}{
		{"NAT", ftp.Passive, client.ClassicVerbs, "PASV", ftptest.Announce(netip.MustParseAddr("10.0.0.5")), func(err error) bool { return err == nil }},
		{"EPSV swallowed", ftp.Passive, client.ExtendedVerbs, "EPSV", ftptest.SwallowCalls(), notOpened},
		{"PASV swallowed", ftp.Passive, client.ClassicVerbs, "PASV", ftptest.SwallowCalls(), notOpened},
		{"no call, 425", ftp.Active, client.AnyVerbs, "EPRT", ftptest.NoCall(time.Millisecond), isReply(425)},
		{"no call by PORT, 425", ftp.Active, client.ClassicVerbs, "PORT", ftptest.NoCall(time.Millisecond), isReply(425)},
		{"no call, silence", ftp.Active, client.AnyVerbs, "EPRT", ftptest.NoCall(0), notOpened},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := ftptest.NewServer(t, files(t))
			srv.Fail(tt.verb, tt.fault)
			seen := make(chan netip.AddrPort, 10)
			c, err := client.Dial(t.Context(), srv.Addr, &client.Options{
				Mode: tt.mode, Verbs: tt.verbs, Timeout: 2 * time.Second,
				Observer: ftp.ObserverFunc(func(e ftp.Event) {
					if o, ok := e.What.(ftp.DataOffered); ok {
						seen <- o.Addr
					}
				}),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			var got bytes.Buffer
			if _, err := c.RetrieveWith(t.Context(), wholeFile, &got); !tt.want(err) {
				t.Errorf("the error is %v", err)
			}
			if addr := (<-seen).Addr(); (tt.name == "NAT") != (addr == netip.MustParseAddr("10.0.0.5")) {
				t.Errorf("the announced address is %v", addr)
			}
		})
	}
}

// wholeFile has the size of the file, so that the client does not ask for it.
var wholeFile = client.Transfer{Path: "/f", Size: fileSize}

// After a PORT with the fault NoCall, the next PORT works.
func TestNoCallHeals(t *testing.T) {
	srv := ftptest.NewServer(t, files(t))
	srv.Fail("EPRT", ftptest.NoCall(time.Millisecond))
	c := dial(t, srv, ftp.Active)
	if _, err := c.Retrieve(t.Context(), "/f", new(bytes.Buffer)); err == nil {
		t.Error("received a file without a data connection")
	}
	srv.Heal()
	var got bytes.Buffer
	if _, err := c.Retrieve(t.Context(), "/f", &got); err != nil || got.Len() != fileSize {
		t.Errorf("after the fault: %d bytes, %v", got.Len(), err)
	}
}

// On systems that support SwallowCalls, a dial ends by timeout and is not refused.
func TestSwallowed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("calls are refused here")
	}
	srv := ftptest.NewServer(t, files(t))
	srv.Fail("EPSV", ftptest.SwallowCalls())
	c, err := client.Dial(t.Context(), srv.Addr, &client.Options{Verbs: client.ExtendedVerbs, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Retrieve(t.Context(), "/f", new(bytes.Buffer))
	var open *dtp.OpenError
	if !errors.As(err, &open) || errors.Is(open.Err, syscall.ECONNREFUSED) {
		t.Errorf("the error is %v", err)
	}
}
