package client_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// certificate returns a self-signed certificate, and roots that trust it.
func certificate(t *testing.T, hosts ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, err := server.SelfSigned(hosts...)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	return cert, roots
}

// secureFake starts a fake server with TLS, and returns the options to connect to it.
func secureFake(t *testing.T, change func(f *fakeserver.Server, cfg *tls.Config)) (*fakeserver.Server, *client.Options) {
	t.Helper()
	cert, roots := certificate(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Secure(cfg)
		if change != nil {
			change(f, cfg)
		}
	})
	return f, &client.Options{TLS: client.ExplicitTLS, TLSConfig: &tls.Config{RootCAs: roots}}
}

// Both versions and both modes, up and down: every data connection resumes the session of the control connection, and
// nothing is sent unprotected.
func TestTLS(t *testing.T) {
	body := testutil.Noise(1 << 20)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			t.Run(tls.VersionName(version)+" "+mode.String(), func(t *testing.T) {
				s := ftptest.NewServer(t, fsroot.NewMem(), ftptest.WithTLS(), ftptest.WithOptions(func(o *server.Options) { o.TLSRequired = true }))
				var seen []ftp.TLS
				c, err := client.Dial(t.Context(), s.Addr, &client.Options{
					Mode: mode, TLS: client.ExplicitTLS, TLSConfig: &tls.Config{RootCAs: s.CAs, MinVersion: version, MaxVersion: version},
					Observer: ftp.ObserverFunc(func(e ftp.Event) {
						if d, ok := e.What.(ftp.DataSecured); ok {
							seen = append(seen, d.TLS)
						}
					}),
				})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				for _, b := range [][]byte{body, nil} {
					if _, err := c.Store(t.Context(), "f", bytes.NewReader(b)); err != nil {
						t.Fatalf("Store: %v", err)
					}
					var got bytes.Buffer
					if _, err := c.Retrieve(t.Context(), "f", &got); err != nil || !bytes.Equal(got.Bytes(), b) {
						t.Fatalf("Retrieve: %d of %d bytes, %v", got.Len(), len(b), err)
					}
				}
				for _, err := range c.List(t.Context(), "") {
					if err != nil {
						t.Errorf("List: %v", err)
					}
				}
				if state, ok := c.TLS(); !ok || state.Version != version {
					t.Errorf("the control connection has %v", state.Version)
				}
				for i, x := range seen {
					if !x.Resumed || x.Version != tls.VersionName(version) {
						t.Errorf("data connection %d: %+v", i, x)
					}
				}
				if len(seen) != 5 {
					t.Errorf("%d data connections were under TLS, want 5", len(seen))
				}
				if said := s.ClearCommands(); len(said) != 1 || said[0].Verb != "AUTH" {
					t.Errorf("sent without TLS: %v", said)
				}
			})
		}
	}
}

// Whatever the server answers, the Client does not continue without TLS (CVE-2021-22946).
func TestNoFallbackToPlaintext(t *testing.T) {
	for name, change := range map[string]func(f *fakeserver.Server){
		"AUTH 500": func(f *fakeserver.Server) {
			f.On["AUTH"] = func(s *fakeserver.Session, _ string) { s.Say("500 what?") }
		},
		"AUTH 534": func(f *fakeserver.Server) { f.On["AUTH"] = func(s *fakeserver.Session, _ string) { s.Say("534 no") } },
		"AUTH 200": func(f *fakeserver.Server) { f.On["AUTH"] = func(s *fakeserver.Session, _ string) { s.Say("200 fine") } },
		"AUTH 230": func(f *fakeserver.Server) {
			f.On["AUTH"] = func(s *fakeserver.Session, _ string) { s.Say("230 you are in") }
		},
		"AUTH 334": func(f *fakeserver.Server) { f.On["AUTH"] = func(s *fakeserver.Session, _ string) { s.Say("334 ADAT") } },
		"a 230 as greeting": func(f *fakeserver.Server) {
			f.Greeting = "230 you are in\r\n"
			f.On["AUTH"] = func(s *fakeserver.Session, _ string) { s.Say("503 no need") }
		},
		"a login after the 234": func(f *fakeserver.Server) {
			f.On["AUTH"] = func(s *fakeserver.Session, _ string) { s.Raw("234 go\r\n230 you are in\r\n") }
		},
		"half a line after the 234": func(f *fakeserver.Server) {
			f.On["AUTH"] = func(s *fakeserver.Session, _ string) { s.Raw("234 go\r\n2") }
		},
		"no handshake": func(f *fakeserver.Server) {
			f.On["AUTH"] = func(s *fakeserver.Session, _ string) { s.Say("234 go"); s.Say("230 you are in") }
		},
		"PROT refused": nil,
	} {
		t.Run(name, func(t *testing.T) {
			f, o := secureFake(t, func(f *fakeserver.Server, _ *tls.Config) {
				if change != nil {
					change(f)
					return
				}
				f.On["PROT"] = func(s *fakeserver.Session, _ string) { s.Say("534 no") }
			})
			c, err := client.Dial(t.Context(), f.Addr, o)
			if err == nil {
				_ = c.Close()
				t.Fatal("Dial returned no error")
			}
			var noTLS *client.TLSError
			var dead *client.DeadError
			if !errors.As(err, &noTLS) && !errors.As(err, &dead) {
				t.Errorf("the error is %T %v", err, err)
			}
			if change != nil && (f.Count("USER") > 0 || f.Count("PASS") > 0) {
				t.Errorf("the login was sent without TLS: %q", f.Commands())
			}
			if f.Count("FEAT")+f.Count("EPSV") > 0 {
				t.Errorf("commands after the failure: %q", f.Commands())
			}
		})
	}
}

// A certificate that is not trusted, or is for another host, ends the connection before the login.
func TestCertificateIsChecked(t *testing.T) {
	f, o := secureFake(t, nil)
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	for name, x := range map[string]struct {
		cfg  *tls.Config
		want any
	}{
		"unknown":    {&tls.Config{}, &unknown},
		"nil":        {nil, &unknown},
		"other host": {&tls.Config{RootCAs: o.TLSConfig.RootCAs, ServerName: "other.example"}, &host},
	} {
		_, err := client.Dial(t.Context(), f.Addr, &client.Options{TLS: client.ExplicitTLS, TLSConfig: x.cfg})
		var noTLS *client.TLSError
		if !errors.As(err, &noTLS) || !errors.As(err, x.want) {
			t.Errorf("%s: the error is %T %v", name, err, err)
		}
	}
	if f.Count("USER") > 0 {
		t.Errorf("a login was sent: %q", f.Commands())
	}
}

// The server on the data connection must have the certificate of the control connection.
func TestDataConnectionNeedsSameCertificate(t *testing.T) {
	other, otherRoots := certificate(t)
	f, o := secureFake(t, func(f *fakeserver.Server, cfg *tls.Config) {
		cfg.SessionTicketsDisabled = true
		f.SetFile("f", "content")
		f.On["PROT"] = func(s *fakeserver.Session, _ string) {
			s.Say("200 ok")
			s.DataTLS = &tls.Config{Certificates: []tls.Certificate{other}}
		}
	})
	_ = otherRoots
	o.TLSConfig.RootCAs.AddCert(other.Leaf) // trusted, but a different one
	c := dial(t, f, o)
	_, err := c.Retrieve(t.Context(), "f", io.Discard)
	if err == nil || !strings.Contains(err.Error(), "not that of the control connection") {
		t.Errorf("the error is %v", err)
	}
}

// Without close_notify an attacker may have cut the file. If the size is known it shows whether the file is whole;
// otherwise the transfer fails.
func TestRetrieveWithoutCloseNotify(t *testing.T) {
	for name, x := range map[string]struct {
		size bool
		sent string
		ok   bool
	}{
		"whole, size known": {true, "the content", true},
		"short, size known": {true, "the con", false},
		"size unknown":      {false, "the content", false},
	} {
		t.Run(name, func(t *testing.T) {
			f, o := secureFake(t, func(f *fakeserver.Server, _ *tls.Config) {
				f.SetFile("f", "the content")
				if !x.size {
					f.On["SIZE"] = func(s *fakeserver.Session, _ string) { s.Say("502 what?") }
				}
				f.On["RETR"] = func(s *fakeserver.Session, _ string) {
					s.Say("150 here it comes")
					d := s.Data().(*tls.Conn)
					_, _ = io.WriteString(d, x.sent)
					_ = d.NetConn().Close()
					s.Say("226 done")
				}
			})
			var got bytes.Buffer
			_, err := dial(t, f, o).Retrieve(t.Context(), "f", &got)
			if (err == nil) != x.ok {
				t.Errorf("%q, %v", got.String(), err)
			}
			var cut *client.TruncatedError
			if err != nil && !errors.As(err, &cut) {
				t.Errorf("the error is %T %v", err, err)
			}
		})
	}
}

// A LIST without close_notify whose last line has no line end may have a cut name there: that entry is not used.
func TestListHalfLineWithoutCloseNotify(t *testing.T) {
	for _, whole := range []bool{true, false} {
		f, o := secureFake(t, func(f *fakeserver.Server, _ *tls.Config) {
			f.Feat = []string{"SIZE"}
			f.On["LIST"] = func(s *fakeserver.Session, _ string) {
				s.Say("150 here it comes")
				d := s.Data().(*tls.Conn)
				_, _ = io.WriteString(d, "-rw-r--r-- 1 a b 5 Jan  1  2020 a\r\n-rw-r--r-- 1 a b 5 Jan  1  2020 bb")
				if whole {
					_ = d.Close()
				}
				_ = d.NetConn().Close()
				s.Say("226 done")
			}
		})
		entries, errs := collect(t, dial(t, f, o), "")
		if whole && (len(entries) != 2 || errs != nil) || !whole && (len(entries) != 1 || len(errs) != 1 || !testutil.IsA[*ftp.LineError](errs[0])) {
			t.Errorf("whole %v: %v, %v", whole, entries, errs)
		}
	}
}

// The server sends session tickets on uploads, and reads slowly. The close of the data connection must not become a
// reset, which would destroy what is on its way (0 of 15 uploads arrived at vsftpd).
func TestUploadArrivesWhole(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	body := testutil.Noise(4 << 20)
	arrived := make(chan error, 1)
	f, o := secureFake(t, func(f *fakeserver.Server, _ *tls.Config) {
		f.On["STOR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 give")
			d := s.Data().(*tls.Conn)
			var got bytes.Buffer
			_, err := io.Copy(&got, io.LimitReader(d, 64<<10))
			if err == nil { // read the rest when the client has finished
				_, err = io.Copy(&got, d)
			}
			_ = d.Close()
			if err == nil && !bytes.Equal(got.Bytes(), body) {
				err = fmt.Errorf("%d of %d bytes arrived", got.Len(), len(body))
			}
			arrived <- err
			s.Say("226 got it")
		}
	})
	c := dial(t, f, o)
	for i := range 20 {
		if _, err := c.Store(t.Context(), "f", bytes.NewReader(body)); err != nil {
			t.Fatalf("upload %d: %v", i, err)
		}
		if err := <-arrived; err != nil {
			t.Fatalf("upload %d: %v", i, err)
		}
	}
}

// With implicit TLS, servers may refuse PBSZ and PROT, which are implied there.
func TestImplicitTLS(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		cert, roots := certificate(t)
		cfg := &tls.Config{Certificates: []tls.Certificate{cert}}
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.SetFile("f", "content")
			f.Implicit = cfg
			f.On["PROT"] = func(s *fakeserver.Session, _ string) { s.Say("200 ok") }
			f.On["PBSZ"] = f.On["PROT"]
			if refuses {
				delete(f.On, "PROT")
				delete(f.On, "PBSZ")
			}
		})
		c := dial(t, f, &client.Options{TLS: client.ImplicitTLS, TLSConfig: &tls.Config{RootCAs: roots}})
		var got bytes.Buffer
		if _, err := c.Retrieve(t.Context(), "f", &got); err != nil || got.String() != "content" {
			t.Errorf("PROT refused %v: %q, %v", refuses, got.String(), err)
		}
		if f.Count("AUTH") > 0 {
			t.Error("AUTH was sent with implicit TLS")
		}
	}
}

// Implicit TLS to a server without TLS, or one that expects explicit TLS, soon fails with a clear error.
func TestImplicitTLSWithPlaintextServer(t *testing.T) {
	f := fakeserver.New(t, nil)
	_, err := client.Dial(t.Context(), f.Addr, &client.Options{TLS: client.ImplicitTLS})
	var noTLS *client.TLSError
	if !errors.As(err, &noTLS) || !strings.Contains(err.Error(), "no TLS") {
		t.Errorf("the error is %v", err)
	}
	silent := fakeserver.New(t, func(f *fakeserver.Server) { f.Greeting = "" })
	_, err = client.Dial(t.Context(), silent.Addr, &client.Options{TLS: client.ImplicitTLS, Timeout: 50 * time.Millisecond})
	if !errors.As(err, &noTLS) {
		t.Errorf("the error is %v", err)
	}
}

// A server that requires data connections to resume the session is satisfied. If it refuses one anyway, the session
// continues.
func TestServerRefusesTLSOnData(t *testing.T) {
	f, o := secureFake(t, func(f *fakeserver.Server, _ *tls.Config) {
		f.SetFile("f", "content")
		f.On["RETR"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 here it comes")
			d := s.Data().(*tls.Conn)
			_ = d.NetConn().Close()
			s.Say("522 no session reuse, no data")
		}
	})
	c := dial(t, f, o)
	_, err := c.Retrieve(t.Context(), "f", io.Discard)
	var reply *ftp.Error
	if !errors.As(err, &reply) || reply.Code != 522 {
		t.Errorf("the error is %v", err)
	}
	if _, err := c.Command(t.Context(), "NOOP", ""); err != nil {
		t.Errorf("the session did not continue: %v", err)
	}
}

// No event or error contains the password, also with TLS, and no command is sent too early.
func TestTLSOrder(t *testing.T) {
	f, o := secureFake(t, nil)
	o.User, o.Password = "u", "s3cr3t"
	_ = dial(t, f, o).Close()
	want := []string{"AUTH TLS", "USER u", "PASS s3cr3t", "PBSZ 0", "PROT P", "FEAT", "OPTS UTF8 ON", "QUIT"}
	if got := f.Commands(); !slices.Equal(got, want) {
		t.Errorf("the commands are %q, want %q", got, want)
	}
}
