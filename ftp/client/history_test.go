package client_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// TestDeadPortOfEPSV simulates a firewall that reads only the replies to PASV, so that the ports of EPSV stay closed.
// The next try, over another connection, uses PASV, and so do all later connections of the Pool.
func TestDeadPortOfEPSV(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	closed := testutil.ClosedPort(t)
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["/f"] = "hello"
		f.On["EPSV"] = func(s *fakeserver.Session, _ string) { s.Say(fmt.Sprintf("229 come (|||%d|)", closed.Port())) }
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			if s.Listener == nil { // the server waits for the data connection and reads nothing
				_, _ = io.Copy(io.Discard, s.In)
				return
			}
			s.Behave("RETR", arg)
		}
	})
	p := client.NewPool(f.Addr, 1, &client.Options{Timeout: time.Second})
	t.Cleanup(func() { _ = p.Close() })
	retry := client.Retry{Times: 1, Wait: func(int) time.Duration { return 0 }}
	for range 3 {
		err := retry.Do(t.Context(), func(int) error {
			c, err := p.Get(t.Context())
			if err != nil {
				return err
			}
			_, err = c.Retrieve(t.Context(), "/f", io.Discard)
			_ = c.Close() // so that the next try uses another connection
			p.Put(c)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if epsv, pasv := f.Count("EPSV"), f.Count("PASV"); epsv != 1 || pasv != 3 {
		t.Errorf("EPSV was sent %d times, PASV %d times", epsv, pasv)
	}
}
