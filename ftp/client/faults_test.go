package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

var thousand = strings.Repeat("0123456789", 100)

// verdict is the expected result of a faulty transfer.
type verdict struct {
	name  string
	check func(err error) bool
	alive bool // the client can still be used
}

var (
	whole       = verdict{"whole", func(err error) bool { return err == nil }, true}
	truncated   = verdict{"truncated", testutil.IsA[*client.TruncatedError], true}
	unconfirmed = verdict{"unconfirmed", func(err error) bool { return errors.Is(err, client.ErrUnconfirmed) }, false}
	dead        = verdict{"dead", testutil.IsA[*client.DeadError], false}
	broken      = verdict{"broken", func(err error) bool {
		return testutil.IsA[*client.TruncatedError](err) || testutil.IsA[*client.OpenError](err)
	}, true}
	cutDead = verdict{"truncated, dead", testutil.IsA[*client.TruncatedError], false}
)

func refusedWith(code ftp.Code) verdict {
	return verdict{fmt.Sprint("refused with ", code), func(err error) bool {
		var reply *ftp.Error
		return errors.As(err, &reply) && reply.Code == code && reply.Verb == "RETR"
	}, true}
}

// TestFaultMatrix checks for every fault that no incomplete file looks complete or the reverse, that nothing hangs,
// and that no reply is left for the next command.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	noSize := []string{"EPSV"}
	tests := []struct {
		name string
		feat []string
		retr func(s *fakeserver.Session)
		want verdict
	}{
		{"well behaved", nil, func(s *fakeserver.Session) { s.Say("150 yes"); s.Send(thousand); s.Say("226 done") }, whole},
		{"short, 226", nil, func(s *fakeserver.Session) { s.Say("150 yes"); s.Send(thousand[:400]); s.Say("226 done") }, truncated},
		{"short, 226, size in the 150", noSize, func(s *fakeserver.Session) {
			s.Say("150 a.bin (1000 bytes)")
			s.Send(thousand[:400])
			s.Say("226 done")
		}, truncated},
		{"grown: what was announced is taken", nil, func(s *fakeserver.Session) { s.Say("150 yes"); s.Send(thousand + "more"); s.Say("226 done") }, whole},
		{"grown, and a 426 that is read before the end of the data", nil, func(s *fakeserver.Session) {
			s.Say("150 yes")
			c := s.Data()
			_, _ = io.WriteString(c, thousand)
			s.Say("426 Failure writing network stream.")
			time.Sleep(50 * time.Millisecond) // the client has read the 426
			_, _ = io.WriteString(c, "more")
			_ = c.Close()
		}, whole},
		{"whole, then 426", nil, func(s *fakeserver.Session) { s.Say("150 yes"); s.Send(thousand); s.Say("426 broke") }, refusedWith(426)},
		{"whole, then 451", nil, func(s *fakeserver.Session) { s.Say("150 yes"); s.Send(thousand); s.Say("451 disk") }, refusedWith(451)},
		{"552 in the middle", nil, func(s *fakeserver.Session) {
			s.Say("150 yes")
			c := s.Data()
			_, _ = io.WriteString(c, thousand[:400])
			s.Say("552 full")
			_ = c.Close()
		}, refusedWith(552)},
		{"whole, control dies", nil, func(s *fakeserver.Session) { s.Say("150 yes"); s.Send(thousand); _ = s.Conn.Close() }, unconfirmed},
		{"short, control dies", nil, func(s *fakeserver.Session) { s.Say("150 yes"); s.Send(thousand[:400]); _ = s.Conn.Close() }, cutDead},
		{"control dies at once", nil, func(s *fakeserver.Session) { _ = s.Conn.Close() }, dead},
		{"421 in the middle", nil, func(s *fakeserver.Session) {
			s.Say("150 yes")
			c := s.Data()
			_, _ = io.WriteString(c, thousand[:400])
			s.Say("421 going down")
			_ = c.Close()
		}, cutDead},
		{"226 before the data", nil, func(s *fakeserver.Session) {
			s.Say("150 yes")
			c := s.Data()
			s.Say("226 done")
			_, _ = io.WriteString(c, thousand)
			_ = c.Close()
		}, whole},
		{"150 and 226 glued", nil, func(s *fakeserver.Session) { s.Raw("150 yes\r\n226 done\r\n"); s.Send(thousand) }, whole},
		{"two 226", nil, func(s *fakeserver.Session) { s.Say("150 yes"); s.Send(thousand); s.Raw("226 done\r\n226 done\r\n") }, whole},
		{"LF only", nil, func(s *fakeserver.Session) {
			s.Raw("150-yes\n151 no\n150 yes\n")
			s.Send(thousand)
			s.Raw("226 done\n")
		}, whole},
		{"byte by byte", nil, func(s *fakeserver.Session) {
			for _, b := range []byte("150 yes\r\n") {
				_, _ = s.Conn.Write([]byte{b})
			}
			s.Send(thousand)
			for _, b := range []byte("226-\r\n226 done\r\n") {
				_, _ = s.Conn.Write([]byte{b})
			}
		}, whole},
		{"no 1xx, 226 after the data", nil, func(s *fakeserver.Session) { s.Send(thousand); s.Say("226 done") }, whole},
		{"200 before the 150", nil, func(s *fakeserver.Session) { s.Say("200 fine"); s.Say("150 yes"); s.Send(thousand); s.Say("226 done") }, whole},
		{"226 alone, no data", noSize, func(s *fakeserver.Session) { s.Say("226 done"); s.Send("") }, truncated},
		{"150, 425, data never accepted", nil, func(s *fakeserver.Session) { s.Say("150 yes"); s.Say("425 no data connection") }, refusedWith(425)},
		{"425 at once", nil, func(s *fakeserver.Session) { s.Say("425 no data connection") }, refusedWith(425)},
		{"550, no data connection", nil, func(s *fakeserver.Session) { s.DropData(); s.Say("550 no such file") }, refusedWith(550)},
		{"550, data connection open", nil, func(s *fakeserver.Session) { c := s.Data(); s.Say("550 no such file"); _ = c.Close() }, refusedWith(550)},
		{"reset in the middle", nil, func(s *fakeserver.Session) {
			s.Say("150 yes")
			c := s.Data()
			_, _ = io.WriteString(c, thousand[:400])
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
			s.Say("226 done")
		}, broken},
		{"garbage for a reply", nil, func(s *fakeserver.Session) { s.Say("hello?") }, dead},
	}
	for _, tt := range tests {
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			t.Run(tt.name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				f := fakeserver.New(t, func(f *fakeserver.Server) {
					f.Files["a.bin"], f.Files["b.bin"] = thousand, thousand
					if tt.feat != nil {
						f.Feat = tt.feat
					}
					f.On["RETR"] = func(s *fakeserver.Session, arg string) {
						if arg == "a.bin" {
							tt.retr(s)
						} else {
							s.Behave("RETR", arg)
						}
					}
				})
				c := dial(t, f, &client.Options{Mode: mode, Timeout: 10 * time.Second})
				var got bytes.Buffer
				n, err := c.Retrieve(t.Context(), "a.bin", &got)
				if !tt.want.check(err) {
					t.Fatalf("Retrieve: %v (%T), want %s", err, err, tt.want.name)
				}
				if n != int64(got.Len()) || err == nil && !strings.HasPrefix(got.String(), thousand) {
					t.Errorf("%d bytes reported, %d received", n, got.Len())
				}
				if c.Alive() != tt.want.alive {
					t.Fatalf("alive: %v", c.Alive())
				}
				if tt.want.alive {
					got.Reset()
					if _, err := c.Retrieve(t.Context(), "b.bin", &got); err != nil || got.String() != thousand {
						t.Errorf("the next file: %d bytes, %v", got.Len(), err)
					}
				}
			})
		}
	}
}

// A stalled data connection ends the transfer, not the session.
func TestStall(t *testing.T) {
	t.Parallel()
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["a.bin"] = thousand
		f.On["RETR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 yes")
			c := s.Data()
			_, _ = io.WriteString(c, thousand[:400])
			s.Next() // ABOR
			_ = c.Close()
			s.Raw("426 aborted\r\n226 aborted\r\n")
		}
	})
	c := dial(t, f, &client.Options{Timeout: 3 * time.Second})
	var short *client.TruncatedError
	_, err := c.Retrieve(t.Context(), "a.bin", io.Discard)
	if !errors.As(err, &short) || short.Got != 400 || short.Want != 1000 {
		t.Errorf("Retrieve: %v", err)
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
}

// The host in a 227 is not used: no connection is made to it (CVE-2020-8284).
func TestPassiveRedirect(t *testing.T) {
	victim, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address here:", err)
	}
	defer victim.Close()
	called := make(chan string, 1)
	go func() {
		c, err := victim.Accept()
		if err == nil {
			called <- c.RemoteAddr().String()
			_ = c.Close()
		}
		close(called)
	}()
	tests := []struct {
		name, reply string // of PASV; P stands for p1,p2
	}{
		{"another loopback address", "227 come (127,0,0,2,P)"},
		{"a private address", "227 come (192,168,250,1,P)"},
		{"no parentheses", "227 come 127,0,0,1,P"},
		{"blanks", "227 come ( 127, 0,0 ,1,P )"},
		{"an equals sign", "227 =127,0,0,1,P"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["a.bin"] = thousand
				f.On["EPSV"] = fakeserver.Says("500 what?")
				f.On["PASV"] = func(s *fakeserver.Session, _ string) {
					s.Listen()
					p := fmt.Sprintf("%d,%d", s.ListenPort()>>8, s.ListenPort()&255)
					s.Say(strings.ReplaceAll(tt.reply, "P", p))
				}
			})
			c := dial(t, f, nil)
			for range 2 {
				var got bytes.Buffer
				if _, err := c.Retrieve(t.Context(), "a.bin", &got); err != nil || got.String() != thousand {
					t.Errorf("Retrieve: %d bytes, %v", got.Len(), err)
				}
			}
			if f.Count("EPSV") != 1 || f.Count("PASV") != 2 {
				t.Errorf("commands %q", f.Commands())
			}
		})
	}
	_ = victim.Close()
	if who, ok := <-called; ok {
		t.Errorf("%s connected to the host that the 227 named", who)
	}
}

func TestTrustPassiveHost(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address here:", err)
	}
	defer other.Close()
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["a.bin"] = thousand
		f.On["EPSV"] = fakeserver.Says("502 no")
		f.On["PASV"] = func(s *fakeserver.Session, _ string) {
			port := other.Addr().(*net.TCPAddr).Port
			s.Listener = other
			s.Say(fmt.Sprintf("227 (127,0,0,2,%d,%d)", port>>8, port&255))
		}
	})
	c, err := client.Dial(t.Context(), f.Addr, &client.Options{TrustPassiveHost: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Retrieve(t.Context(), "a.bin", io.Discard); n != 1000 || err != nil {
		t.Errorf("Retrieve: %d, %v", n, err)
	}
}

func TestExtendedPassive(t *testing.T) {
	epsv := func(form string) func(*fakeserver.Session, string) {
		return func(s *fakeserver.Session, _ string) { s.Listen(); s.Say(fmt.Sprintf(form, s.ListenPort())) }
	}
	tests := []struct {
		name       string
		epsv, pasv func(*fakeserver.Session, string)
		wantEPSV   int // in two transfers
	}{
		{"as it should be", nil, nil, 2},
		{"another delimiter", epsv("229 (!!!%d!)"), nil, 2},
		{"500", fakeserver.Says("500 what?"), nil, 1},
		{"501", fakeserver.Says("501 what?"), nil, 1},
		{"502", fakeserver.Says("502 what?"), nil, 1},
		{"522", fakeserver.Says("522 use (2)"), nil, 1},
		{"550", fakeserver.Says("550 no"), nil, 1},
		{"not now", fakeserver.Says("425 no port"), nil, 2},
		{"nonsense", fakeserver.Says("229 whatever"), nil, 1},
		{"port 0", fakeserver.Says("229 (|||0|)"), nil, 1},
		{"229 to a PASV", fakeserver.Says("500 what?"), epsv("229 (|||%d|)"), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) {
				f.Files["a.bin"] = thousand
				f.On["EPSV"], f.On["PASV"] = tt.epsv, tt.pasv
			})
			c := dial(t, f, nil)
			for range 2 {
				if n, err := c.Retrieve(t.Context(), "a.bin", io.Discard); n != 1000 || err != nil {
					t.Errorf("Retrieve: %d, %v", n, err)
				}
			}
			if f.Count("EPSV") != tt.wantEPSV {
				t.Errorf("commands %q", f.Commands())
			}
		})
	}
}

// If the port in the reply to EPSV can't be reached, the next try uses PASV.
func TestDeadExtendedPort(t *testing.T) {
	port := testutil.ClosedPort(t).Port()
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["a.bin"] = thousand
		f.On["EPSV"] = fakeserver.Says(fmt.Sprintf("229 (|||%d|)", port))
		f.On["RETR"] = func(s *fakeserver.Session, arg string) {
			if s.Listener == nil {
				s.Next() // ABOR
				s.Raw("425 nobody came\r\n226 aborted\r\n")
				return
			}
			s.Behave("RETR", arg)
		}
	})
	c := dial(t, f, nil)
	var open *client.OpenError
	if _, err := c.Retrieve(t.Context(), "a.bin", io.Discard); !errors.As(err, &open) {
		t.Errorf("the first: %v", err)
	}
	if n, err := c.Retrieve(t.Context(), "a.bin", io.Discard); n != 1000 || err != nil {
		t.Errorf("the second: %d, %v", n, err)
	}
	if f.Count("PASV") != 1 {
		t.Errorf("commands %q", f.Commands())
	}
}

func TestActivePortFallsBack(t *testing.T) {
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Files["a.bin"] = thousand
		f.On["EPRT"] = fakeserver.Says("500 what?")
	})
	c := dial(t, f, &client.Options{Mode: ftp.Active})
	for range 2 {
		if n, err := c.Retrieve(t.Context(), "a.bin", io.Discard); n != 1000 || err != nil {
			t.Errorf("Retrieve: %d, %v", n, err)
		}
	}
	if f.Count("EPRT") != 1 || f.Count("PORT") != 2 || f.Count("PASV")+f.Count("EPSV") != 0 {
		t.Errorf("commands %q", f.Commands())
	}
}
