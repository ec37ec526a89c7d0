package client_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// A server that replies 226 without a 150, sends nothing and leaves the data connection open does not keep the client
// waiting for the whole timeout.
func TestFinalReplyWithoutData(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	bare := func(s *fakeserver.Session, _ string) { s.Say("226 done") }
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.On["LIST"], f.On["NLST"], f.On["RETR"] = bare, bare, bare
			})
			const timeout = 30 * time.Second
			c := dial(t, f, &client.Options{Mode: mode, Timeout: timeout})
			began := time.Now()
			if _, errs := collect(t, c, ""); !errors.Is(errors.Join(errs...), client.ErrPartial) || !c.Alive() {
				t.Errorf("LIST: %v, alive %v", errs, c.Alive())
			}
			if _, err := c.Names(t.Context(), ""); !errors.Is(err, client.ErrPartial) || !c.Alive() {
				t.Errorf("NLST: %v, alive %v", err, c.Alive())
			}
			var cut *client.TruncatedError
			if _, err := c.Retrieve(t.Context(), "f", io.Discard); !errors.As(err, &cut) || !c.Alive() {
				t.Errorf("RETR: %v, alive %v", err, c.Alive())
			}
			if took := time.Since(began); took > timeout/2 {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Data that arrives a little after such a 226 is a listing.
func TestFinalReplyBeforeData(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.On["LIST"] = func(s *fakeserver.Session, _ string) {
			s.Say("226 done")
			time.Sleep(300 * time.Millisecond)
			s.Send("-rw-r--r-- 1 u u 5 2026-03-02 10:00 a\r\n")
		}
	})
	entries, errs := collect(t, dial(t, f, nil), "")
	if len(errs) > 0 || len(entries) != 1 {
		t.Errorf("entries %v, errors %v; want one entry and no error", entries, errs)
	}
}
