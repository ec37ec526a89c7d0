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
	"miniftp/ftp/internal/testutil"
)

var thousand = strings.Repeat("0123456789", 100)

// verdict is what a faulty transfer has to come to.
type verdict struct {
	name  string
	check func(err error) bool
	alive bool // the client can go on
}

var (
	whole       = verdict{"whole", func(err error) bool { return err == nil }, true}
	truncated   = verdict{"truncated", isA[*client.TruncatedError], true}
	unconfirmed = verdict{"unconfirmed", func(err error) bool { return errors.Is(err, client.ErrUnconfirmed) }, false}
	dead        = verdict{"dead", isA[*client.DeadError], false}
	broken      = verdict{"broken", func(err error) bool { return isA[*client.TruncatedError](err) || isA[*client.OpenError](err) }, true}
	cutDead     = verdict{"truncated, dead", isA[*client.TruncatedError], false}
)

func refusedWith(code ftp.Code) verdict {
	return verdict{fmt.Sprint("refused with ", code), func(err error) bool {
		var reply *ftp.Error
		return errors.As(err, &reply) && reply.Code == code && reply.Verb == "RETR"
	}, true}
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// TestFaultMatrix: no fault may make a file look whole that is not, nor the
// other way round, nor hang, nor leave replies behind for the next command.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	noSize := []string{"EPSV"}
	tests := []struct {
		name string
		feat []string
		retr func(s *session)
		want verdict
	}{
		{"well behaved", nil, func(s *session) { s.say("150 yes"); s.send(thousand); s.say("226 done") }, whole},
		{"short, 226", nil, func(s *session) { s.say("150 yes"); s.send(thousand[:400]); s.say("226 done") }, truncated},
		{"short, 226, size in the 150", noSize, func(s *session) { s.say("150 a.bin (1000 bytes)"); s.send(thousand[:400]); s.say("226 done") }, truncated},
		{"grown: what was announced is taken", nil, func(s *session) { s.say("150 yes"); s.send(thousand + "more"); s.say("226 done") }, whole},
		{"whole, then 426", nil, func(s *session) { s.say("150 yes"); s.send(thousand); s.say("426 broke") }, refusedWith(426)},
		{"whole, then 451", nil, func(s *session) { s.say("150 yes"); s.send(thousand); s.say("451 disk") }, refusedWith(451)},
		{"552 in the middle", nil, func(s *session) {
			s.say("150 yes")
			c := s.data()
			_, _ = io.WriteString(c, thousand[:400])
			s.say("552 full")
			_ = c.Close()
		}, refusedWith(552)},
		{"whole, control dies", nil, func(s *session) { s.say("150 yes"); s.send(thousand); _ = s.conn.Close() }, unconfirmed},
		{"short, control dies", nil, func(s *session) { s.say("150 yes"); s.send(thousand[:400]); _ = s.conn.Close() }, cutDead},
		{"control dies at once", nil, func(s *session) { _ = s.conn.Close() }, dead},
		{"421 in the middle", nil, func(s *session) {
			s.say("150 yes")
			c := s.data()
			_, _ = io.WriteString(c, thousand[:400])
			s.say("421 going down")
			_ = c.Close()
		}, cutDead},
		{"226 before the data", nil, func(s *session) {
			s.say("150 yes")
			c := s.data()
			s.say("226 done")
			_, _ = io.WriteString(c, thousand)
			_ = c.Close()
		}, whole},
		{"150 and 226 glued", nil, func(s *session) { s.raw("150 yes\r\n226 done\r\n"); s.send(thousand) }, whole},
		{"two 226", nil, func(s *session) { s.say("150 yes"); s.send(thousand); s.raw("226 done\r\n226 done\r\n") }, whole},
		{"LF only", nil, func(s *session) { s.raw("150-yes\n151 no\n150 yes\n"); s.send(thousand); s.raw("226 done\n") }, whole},
		{"byte by byte", nil, func(s *session) {
			for _, b := range []byte("150 yes\r\n") {
				_, _ = s.conn.Write([]byte{b})
			}
			s.send(thousand)
			for _, b := range []byte("226-\r\n226 done\r\n") {
				_, _ = s.conn.Write([]byte{b})
			}
		}, whole},
		{"no 1xx, 226 after the data", nil, func(s *session) { s.send(thousand); s.say("226 done") }, whole},
		{"200 before the 150", nil, func(s *session) { s.say("200 fine"); s.say("150 yes"); s.send(thousand); s.say("226 done") }, whole},
		{"226 alone, no data", noSize, func(s *session) { s.say("226 done"); s.send("") }, truncated},
		{"150, 425, data never accepted", nil, func(s *session) { s.say("150 yes"); s.say("425 no data connection") }, refusedWith(425)},
		{"425 at once", nil, func(s *session) { s.say("425 no data connection") }, refusedWith(425)},
		{"550, no data connection", nil, func(s *session) { s.dropData(); s.say("550 no such file") }, refusedWith(550)},
		{"550, data connection open", nil, func(s *session) { c := s.data(); s.say("550 no such file"); _ = c.Close() }, refusedWith(550)},
		{"reset in the middle", nil, func(s *session) {
			s.say("150 yes")
			c := s.data()
			_, _ = io.WriteString(c, thousand[:400])
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
			s.say("226 done")
		}, broken},
		{"garbage for a reply", nil, func(s *session) { s.say("hello?") }, dead},
	}
	for _, tt := range tests {
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			t.Run(tt.name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				f := newFake(t, func(f *fake) {
					f.files["a.bin"], f.files["b.bin"] = thousand, thousand
					if tt.feat != nil {
						f.feat = tt.feat
					}
					f.on["RETR"] = func(s *session, arg string) {
						if arg == "a.bin" {
							tt.retr(s)
						} else {
							s.wellBehaved("RETR", arg)
						}
					}
				})
				c := f.dial(&client.Options{Mode: mode, Timeout: 10 * time.Second})
				var got bytes.Buffer
				n, err := c.Retrieve(t.Context(), "a.bin", &got)
				if !tt.want.check(err) {
					t.Fatalf("Retrieve: %v (%T), want %s", err, err, tt.want.name)
				}
				if n != int64(got.Len()) || err == nil && !strings.HasPrefix(got.String(), thousand) {
					t.Errorf("%d bytes said, %d came", n, got.Len())
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

// A data connection that stands still ends the transfer, not the session.
func TestStall(t *testing.T) {
	f := newFake(t, func(f *fake) {
		f.files["a.bin"] = thousand
		f.on["RETR"] = func(s *session, _ string) {
			s.say("150 yes")
			c := s.data()
			_, _ = io.WriteString(c, thousand[:400])
			s.next() // the ABOR
			_ = c.Close()
			s.raw("426 aborted\r\n226 aborted\r\n")
		}
	})
	c := f.dial(&client.Options{Timeout: 100 * time.Millisecond})
	var short *client.TruncatedError
	_, err := c.Retrieve(t.Context(), "a.bin", io.Discard)
	if !errors.As(err, &short) || short.Got != 400 || short.Want != 1000 {
		t.Errorf("Retrieve: %v", err)
	}
	if _, err := c.Pwd(t.Context()); err != nil {
		t.Errorf("Pwd: %v", err)
	}
}

// The host in a 227 is not believed: nobody calls there (CVE-2020-8284).
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
			f := newFake(t, func(f *fake) {
				f.files["a.bin"] = thousand
				f.on["EPSV"] = says("500 what?")
				f.on["PASV"] = func(s *session, _ string) {
					s.listen()
					p := fmt.Sprintf("%d,%d", s.listenPort()>>8, s.listenPort()&255)
					s.say(strings.ReplaceAll(tt.reply, "P", p))
				}
			})
			c := f.dial(nil)
			for range 2 {
				var got bytes.Buffer
				if _, err := c.Retrieve(t.Context(), "a.bin", &got); err != nil || got.String() != thousand {
					t.Errorf("Retrieve: %d bytes, %v", got.Len(), err)
				}
			}
			if f.count("EPSV") != 1 || f.count("PASV") != 2 {
				t.Errorf("commands %q", f.commands())
			}
		})
	}
	_ = victim.Close()
	if who, ok := <-called; ok {
		t.Errorf("%s called the host that the 227 named", who)
	}
}

func TestTrustPassiveHost(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address here:", err)
	}
	defer other.Close()
	f := newFake(t, func(f *fake) {
		f.files["a.bin"] = thousand
		f.on["EPSV"] = says("502 no")
		f.on["PASV"] = func(s *session, _ string) {
			port := other.Addr().(*net.TCPAddr).Port
			s.ln = other
			s.say(fmt.Sprintf("227 (127,0,0,2,%d,%d)", port>>8, port&255))
		}
	})
	c, err := client.Dial(t.Context(), f.addr, &client.Options{TrustPassiveHost: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Retrieve(t.Context(), "a.bin", io.Discard); n != 1000 || err != nil {
		t.Errorf("Retrieve: %d, %v", n, err)
	}
}

func TestExtendedPassive(t *testing.T) {
	epsv := func(form string) func(*session, string) {
		return func(s *session, _ string) { s.listen(); s.say(fmt.Sprintf(form, s.listenPort())) }
	}
	tests := []struct {
		name       string
		epsv, pasv func(*session, string)
		wantEPSV   int // of two transfers
	}{
		{"as it should be", nil, nil, 2},
		{"another delimiter", epsv("229 (!!!%d!)"), nil, 2},
		{"500", says("500 what?"), nil, 1},
		{"501", says("501 what?"), nil, 1},
		{"502", says("502 what?"), nil, 1},
		{"522", says("522 use (2)"), nil, 1},
		{"550", says("550 no"), nil, 1},
		{"not now", says("425 no port"), nil, 2},
		{"nonsense", says("229 whatever"), nil, 1},
		{"port 0", says("229 (|||0|)"), nil, 1},
		{"229 to a PASV", says("500 what?"), epsv("229 (|||%d|)"), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, func(f *fake) {
				f.files["a.bin"] = thousand
				f.on["EPSV"], f.on["PASV"] = tt.epsv, tt.pasv
			})
			c := f.dial(nil)
			for range 2 {
				if n, err := c.Retrieve(t.Context(), "a.bin", io.Discard); n != 1000 || err != nil {
					t.Errorf("Retrieve: %d, %v", n, err)
				}
			}
			if f.count("EPSV") != tt.wantEPSV {
				t.Errorf("commands %q", f.commands())
			}
		})
	}
}

// A port from EPSV that nobody answers on makes PASV the next try.
func TestDeadExtendedPort(t *testing.T) {
	port := testutil.ClosedPort(t).Port()
	f := newFake(t, func(f *fake) {
		f.files["a.bin"] = thousand
		f.on["EPSV"] = says(fmt.Sprintf("229 (|||%d|)", port))
		f.on["RETR"] = func(s *session, arg string) {
			if s.ln == nil {
				s.next() // ABOR
				s.raw("425 nobody came\r\n226 aborted\r\n")
				return
			}
			s.wellBehaved("RETR", arg)
		}
	})
	c := f.dial(nil)
	var open *client.OpenError
	if _, err := c.Retrieve(t.Context(), "a.bin", io.Discard); !errors.As(err, &open) {
		t.Errorf("the first: %v", err)
	}
	if n, err := c.Retrieve(t.Context(), "a.bin", io.Discard); n != 1000 || err != nil {
		t.Errorf("the second: %d, %v", n, err)
	}
	if f.count("PASV") != 1 {
		t.Errorf("commands %q", f.commands())
	}
}

func TestActivePortFallsBack(t *testing.T) {
	f := newFake(t, func(f *fake) {
		f.files["a.bin"] = thousand
		f.on["EPRT"] = says("500 what?")
	})
	c := f.dial(&client.Options{Mode: ftp.Active})
	for range 2 {
		if n, err := c.Retrieve(t.Context(), "a.bin", io.Discard); n != 1000 || err != nil {
			t.Errorf("Retrieve: %d, %v", n, err)
		}
	}
	if f.count("EPRT") != 1 || f.count("PORT") != 2 || f.count("PASV")+f.count("EPSV") != 0 {
		t.Errorf("commands %q", f.commands())
	}
}
