package client_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/testutil"
)

// TestDeadPortOfEPSV: a firewall that reads only the replies to PASV leaves the ports of
// EPSV closed. The next try, over another connection, asks for PASV, and so do all later
// connections of the Pool.
func TestDeadPortOfEPSV(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	closed := testutil.ClosedPort(t)
	f := newFake(t, func(f *fake) {
		f.files["/f"] = "hello"
		f.on["EPSV"] = func(s *session, _ string) { s.say(fmt.Sprintf("229 come (|||%d|)", closed.Port())) }
		f.on["RETR"] = func(s *session, arg string) {
			if s.ln == nil { // it waits for a call, and reads nothing
				_, _ = io.Copy(io.Discard, s.in)
				return
			}
			s.wellBehaved("RETR", arg)
		}
	})
	p := client.NewPool(f.addr, 1, &client.Options{Timeout: time.Second})
	t.Cleanup(func() { _ = p.Close() })
	retry := client.Retry{Times: 1, Wait: func(int) time.Duration { return 0 }}
	for range 3 {
		err := retry.Do(t.Context(), func(int) error {
			c, err := p.Get(t.Context())
			if err != nil {
				return err
			}
			_, err = c.Retrieve(t.Context(), "/f", io.Discard)
			_ = c.Close() // the next one is another connection
			p.Put(c)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if epsv, pasv := f.count("EPSV"), f.count("PASV"); epsv != 1 || pasv != 3 {
		t.Errorf("EPSV was asked for %d times, PASV %d times", epsv, pasv)
	}
}
