package ftptest_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// code returns the code of the reply if err is a refusal, and else 0.
func code(err error) ftp.Code {
	var e *ftp.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// TestWhen checks which commands fail with Skip, Times and several faults.
func TestWhen(t *testing.T) {
	refused := func(c ftp.Code) ftptest.Fault { return ftptest.Reply(c, "No.") }
	tests := []struct {
		name   string
		faults []ftptest.Fault
		want   []ftp.Code // the replies to six SIZE commands; 0 means success
	}{
		{"always", []ftptest.Fault{refused(550)}, []ftp.Code{550, 550, 550, 550, 550, 550}},
		{"twice", []ftptest.Fault{refused(550).Times(2)}, []ftp.Code{550, 550, 0, 0, 0, 0}},
		{"not at first", []ftptest.Fault{refused(550).Skip(2)}, []ftp.Code{0, 0, 550, 550, 550, 550}},
		{"the third", []ftptest.Fault{refused(550).Skip(2).Times(1)}, []ftp.Code{0, 0, 550, 0, 0, 0}},
		{"one after the other", []ftptest.Fault{refused(450).Times(1), refused(451).Skip(1).Times(2), refused(550)}, []ftp.Code{450, 0, 451, 451, 550, 550}},
		{"on another connection", []ftptest.Fault{refused(550).Connection(2)}, []ftp.Code{0, 0, 0, 0, 0, 0}},
		{"on this one", []ftptest.Fault{refused(550).Connection(1).Times(1)}, []ftp.Code{550, 0, 0, 0, 0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := ftptest.NewServer(t, files(t), ftptest.WithFault("SIZE", tt.faults...))
			c := dial(t, srv, ftp.Passive)
			for i, want := range tt.want {
				if _, err := c.Size(t.Context(), "/f"); code(err) != want {
					t.Errorf("SIZE %d: %v, want %d", i+1, err, want)
				}
			}
		})
	}
}

// TestGreeting makes each fault of a greeting.
func TestGreeting(t *testing.T) {
	testutil.Long(t)
	srv := ftptest.NewServer(t, nil)
	try := func() error {
		c, err := client.Dial(t.Context(), srv.Addr, &client.Options{Timeout: 2 * time.Second})
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	srv.Fail(ftptest.Greeting, ftptest.Reply(421, "Too many.").Times(1), ftptest.HangUp().Times(1), ftptest.Silence().Times(1),
		ftptest.Delay(20*time.Second).Times(1), ftptest.Delay(50*time.Millisecond).Times(1))
	if err := try(); code(err) != 421 {
		t.Errorf("refused: %v", err)
	}
	if err := try(); err == nil {
		t.Error("hung up: no error")
	}
	for _, what := range []string{"silent", "very late"} {
		if err := try(); !errors.Is(err, client.ErrTimeout) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, what := range []string{"a bit late", "healthy"} {
		if err := try(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAny checks that the faults of a verb take precedence over those of Any.
func TestAny(t *testing.T) {
	srv := ftptest.NewServer(t, files(t))
	c := dial(t, srv, ftp.Passive)
	srv.Fail(ftptest.Any, ftptest.Reply(450, "Not now."))
	srv.Fail("MDTM", ftptest.Reply(550, "Never."))
	srv.Fail("NOOP")
	_, sizeErr := c.Size(t.Context(), "/f")
	_, timeErr := c.ModTime(t.Context(), "/f")
	_, noopErr := c.Command(t.Context(), "NOOP", "")
	if code(sizeErr) != 450 || code(timeErr) != 550 || noopErr != nil {
		t.Errorf("SIZE %v, MDTM %v, NOOP %v", sizeErr, timeErr, noopErr)
	}
}

// ways holds the kinds of connection between a client and a Server.
var ways = map[string]struct {
	option  ftptest.Option
	mode    client.TLSMode
	version uint16
}{
	"clear":    {ftptest.WithLatency(0), client.NoTLS, 0},
	"TLS 1.2":  {ftptest.WithTLS(), client.ExplicitTLS, tls.VersionTLS12},
	"TLS 1.3":  {ftptest.WithTLS(), client.ExplicitTLS, tls.VersionTLS13},
	"implicit": {ftptest.WithImplicitTLS(), client.ImplicitTLS, tls.VersionTLS13},
}

// everyWay runs f for each way, or the named ones, and each data mode.
func everyWay(t *testing.T, f func(t *testing.T, option ftptest.Option, dial func(*ftptest.Server) *client.Client), names ...string) {
	for name, way := range ways {
		if names != nil && !slices.Contains(names, name) {
			continue
		}
		for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				f(t, way.option, func(srv *ftptest.Server) *client.Client {
					t.Helper()
					c, err := client.Dial(t.Context(), srv.Addr, &client.Options{
						Mode: mode, TLS: way.mode, Timeout: time.Second,
						TLSConfig: &tls.Config{RootCAs: srv.CAs, MinVersion: way.version, MaxVersion: way.version},
					})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = c.Close() })
					return c
				})
			})
		}
	}
}

// TestCutExactly checks that the receiver gets exactly the bytes before CutAfter and then an error,
// in downloads and uploads, on every way. The next transfer succeeds.
func TestCutExactly(t *testing.T) {
	testutil.Long(t)
	everyWay(t, func(t *testing.T, option ftptest.Option, dial func(*ftptest.Server) *client.Client) {
		fsys := files(t)
		srv := ftptest.NewServer(t, fsys, option, ftptest.WithOptions(func(o *server.Options) { o.UploadInPlace = true }))
		c := dial(srv)
		for _, n := range []int64{0, 1, 1000, 100_000, fileSize - 1, fileSize} {
			srv.Fail("RETR", ftptest.CutAfter(n).Times(1))
			var got bytes.Buffer
			if _, err := c.Retrieve(t.Context(), "/f", &got); err == nil || int64(got.Len()) != n {
				t.Errorf("CutAfter(%d): %d bytes and then %v", n, got.Len(), err)
			}
			if err := fsys.Remove("/up"); err != nil && !errors.Is(err, afero.ErrFileNotFound) {
				t.Fatal(err)
			}
			srv.Fail("STOR", ftptest.CutAfter(n).Times(1))
			if _, err := c.Store(t.Context(), "/up", strings.NewReader(strings.Repeat("x", fileSize))); err == nil {
				t.Errorf("CutAfter(%d): the upload succeeded", n)
			}
			if info, err := fsys.Stat("/up"); err == nil && info.Size() != n {
				t.Errorf("CutAfter(%d): the server has %d bytes", n, info.Size())
			}
		}
		got, err := io.ReadAll(open(t, c, "/f"))
		if err != nil || len(got) != fileSize {
			t.Errorf("after the faults: %d bytes, %v", len(got), err)
		}
	})
}

func open(t *testing.T, c *client.Client, name string) io.Reader {
	t.Helper()
	r, err := c.Open(t.Context(), name, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// TestFaultsUnderTLS checks that the client reports faults with TLS as it does without.
func TestFaultsUnderTLS(t *testing.T) {
	testutil.Long(t)
	everyWay(t, func(t *testing.T, option ftptest.Option, dial func(*ftptest.Server) *client.Client) {
		srv := ftptest.NewServer(t, files(t), option)
		for _, f := range []struct {
			name  string
			verb  string
			fault ftptest.Fault
			want  func(error) bool
		}{
			{"refused", "RETR", ftptest.Reply(550, "No."), func(err error) bool { return code(err) == 550 }},
			{"short", "RETR", ftptest.ShortAfter(1000), func(err error) bool { return errors.As(err, new(*client.TruncatedError)) }},
			{"early reply", "RETR", ftptest.EarlyReply(), func(err error) bool { return err == nil }},
			{"slow", "RETR", ftptest.Slow(4_000_000), func(err error) bool { return err == nil }},
			{"lost reply", "RETR", ftptest.LoseReply(), func(err error) bool { return errors.Is(err, client.ErrUnconfirmed) }},
			{"hang up", "RETR", ftptest.HangUp(), func(err error) bool { return errors.As(err, new(*client.DeadError)) }},
			{"stalled", "RETR", ftptest.StallAfter(1000), func(err error) bool { return err != nil }},
			{"no SIZE", "SIZE", ftptest.Refuse(), func(err error) bool { return err == nil }},
		} {
			t.Run(f.name, func(t *testing.T) {
				c := dial(srv)
				srv.Fail(f.verb, f.fault)
				defer srv.Heal()
				if _, err := c.Retrieve(t.Context(), "/f", io.Discard); !f.want(err) {
					t.Errorf("the error is %v", err)
				}
			})
		}
	})
}

// TestNetwork checks that WithLatency delays each round trip and WithRate limits the bytes per second,
// that Slow and Delay do so for one command, and that no bytes are lost or reordered.
func TestNetwork(t *testing.T) {
	testutil.Long(t)
	body := bytes.Repeat([]byte("0123456789"), 5_000)
	took := func(t *testing.T, c *client.Client) (ping, get time.Duration) {
		start := time.Now()
		if _, err := c.Command(t.Context(), "NOOP", ""); err != nil {
			t.Fatal(err)
		}
		ping = time.Since(start)
		var got bytes.Buffer
		if _, err := c.Store(t.Context(), "/up", bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		start = time.Now()
		if _, err := c.Retrieve(t.Context(), "/up", &got); err != nil || !bytes.Equal(got.Bytes(), body) {
			t.Fatalf("%d bytes, %v", got.Len(), err)
		}
		return ping, time.Since(start)
	}
	for _, tt := range []struct {
		name      string
		options   []ftptest.Option
		ping, get time.Duration // at least
	}{
		{"latency", []ftptest.Option{ftptest.WithLatency(10 * time.Millisecond)}, 20 * time.Millisecond, 40 * time.Millisecond},
		{"rate", []ftptest.Option{ftptest.WithRate(500_000)}, 0, 90 * time.Millisecond},
		{"delay", []ftptest.Option{ftptest.WithFault("NOOP", ftptest.Delay(50*time.Millisecond))}, 50 * time.Millisecond, 0},
		{"slow", []ftptest.Option{ftptest.WithFault("RETR", ftptest.Slow(500_000))}, 0, 90 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everyWay(t, func(t *testing.T, option ftptest.Option, dial func(*ftptest.Server) *client.Client) {
				srv := ftptest.NewServer(t, nil, append([]ftptest.Option{option}, tt.options...)...)
				ping, get := took(t, dial(srv))
				if ping < tt.ping || get < tt.get {
					t.Errorf("NOOP took %v, want %v; RETR took %v, want %v", ping, tt.ping, get, tt.get)
				}
			})
		})
	}
}

// TestNotResumed checks that the relay resumes the TLS session with the server only if the client does.
func TestNotResumed(t *testing.T) {
	requireReuse := ftptest.WithOptions(func(o *server.Options) { o.SessionReuse = dtp.ReuseRequire })
	srv := ftptest.NewServer(t, files(t), ftptest.WithImplicitTLS(), requireReuse)
	for _, cache := range []tls.ClientSessionCache{tls.NewLRUClientSessionCache(1), nil} {
		cfg := &tls.Config{RootCAs: srv.CAs, ServerName: "localhost", ClientSessionCache: cache}
		conn, err := tls.Dial("tcp", srv.Addr, cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		lines := ftp.NewLineReader(conn, 1000)
		ask := func(cmd string) ftp.Reply {
			_, _ = io.WriteString(conn, cmd)
			r, err := ftp.ReadReply(lines)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		for _, cmd := range []string{"", "USER anonymous\r\n", "PASS x\r\n", "PROT P\r\n"} {
			ask(cmd)
		}
		port, err := ftp.Parse229(ask("EPSV\r\n").Last())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "RETR /f\r\n")
		data, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer data.Close()
		b, _ := io.ReadAll(data)
		if whole := len(b) == fileSize; whole != (cache != nil) {
			t.Errorf("with a session to resume: %v, received %d bytes", cache != nil, len(b))
		}
	}
}
