package dtp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
)

// These tests use TLS, with the clock of synctest.

// newConfig returns a configuration for a TLS server with a self-signed certificate.
func newConfig(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	check(t, err)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// handshakes is the limit for the duration of a handshake in these tests.
const handshakes = 7 * time.Second

// line is a connection that can be slow. If every is not 0, each read or write waits that long and
// moves at most atOnce bytes.
type line struct {
	net.Conn
	every  atomic.Int64
	atOnce int
}

func (l *line) Read(b []byte) (int, error) {
	if every := l.every.Load(); every > 0 && len(b) > 0 {
		time.Sleep(time.Duration(every))
		b = b[:min(len(b), l.atOnce)]
	}
	return l.Conn.Read(b)
}

func (l *line) Write(b []byte) (n int, err error) {
	every := l.every.Load()
	if every == 0 {
		return l.Conn.Write(b)
	}
	for n < len(b) && err == nil {
		time.Sleep(time.Duration(every))
		var one int
		one, err = l.Conn.Write(b[n:min(len(b), n+l.atOnce)])
		n += one
	}
	return n, err
}

// private calls RunOn with TLS on one end of a net.Pipe. peer is the other end, before its
// handshake.
func private(ctx context.Context, t testing.TB, side ftp.Side, version uint16, job Job) (peer *tls.Conn, l *line, done <-chan Result) {
	t.Helper()
	ours, theirs := net.Pipe()
	l = &line{Conn: theirs, atOnce: 1}
	server := newConfig(t)
	server.MinVersion, server.MaxVersion = version, version
	client := &tls.Config{InsecureSkipVerify: true} // certificates do not matter here
	s := ServerSecurity(server, ReusePrefer)
	peer = tls.Client(l, client)
	if side == ftp.UserPI {
		server.SessionTicketsDisabled = true // a pipe has no buffer for them
		s = ClientSecurity(client, "localhost")
		peer = tls.Server(l, server)
	}
	conn := &Conn{Conn: s.secure(ours, false), o: &Opener{m: &Manager{cfg: &Config{Timeout: handshakes}}}}
	ended := make(chan Result, 1)
	go func() { ended <- RunOn(ctx, conn, job) }()
	return peer, l, ended
}

// eachPrivate calls f for both sides and both versions of TLS, with the clock of synctest.
func eachPrivate(t *testing.T, f func(t *testing.T, side ftp.Side, version uint16)) {
	for _, side := range []ftp.Side{ftp.ServerPI, ftp.UserPI} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(side.String()+" "+tls.VersionName(version), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { f(t, side, version) })
			})
		}
	}
}

// If the peer stalls after the handshake, the connection is cut after exactly Job.Stall.
func TestTLSStall(t *testing.T) {
	const stall = 10 * time.Second
	for name, job := range map[string]Job{
		"sending":   {Source: zeros{}, Type: ftp.Image},
		"receiving": {Sink: io.Discard, Type: ftp.Image},
	} {
		t.Run(name, func(t *testing.T) {
			eachPrivate(t, func(t *testing.T, side ftp.Side, version uint16) {
				job := job
				job.Stall = stall
				peer, _, done := private(t.Context(), t, side, version, job)
				check(t, peer.Handshake())
				start := time.Now()
				res := <-done
				if took := time.Since(start); !errors.Is(res.Err, ErrStalled) || took != stall {
					t.Errorf("%+v after %v", res, took)
				}
				_ = peer.NetConn().Close()
			})
		})
	}
}

// If the peer stalls in the middle of a large file, where records are collected, the bytes that it has
// not received must not count as sent.
func TestTLSStallLate(t *testing.T) {
	const stall = 10 * time.Second
	for _, taken := range []int{1, 100 << 10, 1 << 20, 1<<20 + 77} {
		eachPrivate(t, func(t *testing.T, side ftp.Side, version uint16) {
			data := random(4 << 20)
			peer, _, done := private(t.Context(), t, side, version, Job{Source: bytes.NewReader(data), Type: ftp.Image, Stall: stall})
			got := make([]byte, taken)
			if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, data[:taken]) {
				t.Errorf("%v, or the received bytes differ", err)
			}
			start := time.Now()
			res := <-done // a write that moved bytes before its deadline gets another deadline
			if took := time.Since(start); !errors.Is(res.Err, ErrStalled) || took < stall || took > 2*stall || res.Bytes > int64(taken+bufferLen) {
				t.Errorf("the peer read %d bytes: %+v after %v", taken, res, took)
			}
			_ = peer.NetConn().Close()
		})
	}
}

// zeros is an endless reader of zero bytes.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// A peer on a slow line is not mistaken for one that has stalled: each byte of a record
// counts, although only whole records can be decrypted.
func TestTLSSlowIsNotStill(t *testing.T) {
	const stall = 10 * time.Second
	text := strings.Repeat("x", 40)
	for size, atOnce := range map[int]int{len(text): 1, 1 << 20: 5000} {
		eachPrivate(t, func(t *testing.T, side ftp.Side, version uint16) {
			data := random(size)
			peer, l, done := private(t.Context(), t, side, version, Job{Source: bytes.NewReader(data), Type: ftp.Image, Stall: stall})
			check(t, peer.Handshake())
			l.atOnce = atOnce
			l.every.Store(int64(stall - time.Millisecond))
			b, err := io.ReadAll(peer)
			if err != nil || !bytes.Equal(b, data) {
				t.Errorf("received %d of %d bytes, %v", len(b), size, err)
			}
			_ = peer.Close()
			if res := <-done; res.Err != nil || res.Bytes != int64(size) {
				t.Errorf("sending: %+v", res)
			}
		})
	}
	eachPrivate(t, func(t *testing.T, side ftp.Side, version uint16) {
		var got bytes.Buffer
		peer, l, done := private(t.Context(), t, side, version, Job{Sink: &got, Type: ftp.Image, Stall: stall})
		check(t, peer.Handshake())
		l.every.Store(int64(stall - time.Millisecond))
		go func() { _, _ = io.Copy(io.Discard, l.Conn) }() // the other end's close_notify
		_, err := io.WriteString(peer, text)
		check(t, err)
		_, err = io.WriteString(peer, text)
		check(t, err)
		l.every.Store(0) // package tls allows five seconds for close_notify
		check(t, peer.CloseWrite())
		if res := <-done; res.Err != nil || res.CutShort || got.String() != text+text {
			t.Errorf("receiving %q: %+v", got.String(), res)
		}
		_ = l.Close()
	})
}

// If the peer stalls in the middle of a record, the connection is cut Job.Stall after its last byte.
// The bytes of the incomplete record do not count as received.
func TestTLSHalfARecord(t *testing.T) {
	const stall = 10 * time.Second
	eachPrivate(t, func(t *testing.T, side ftp.Side, version uint16) {
		peer, l, done := private(t.Context(), t, side, version, Job{Sink: io.Discard, Type: ftp.Image, Stall: stall})
		check(t, peer.Handshake())
		go func() { _, _ = io.Copy(io.Discard, l.Conn) }()
		_, err := l.Conn.Write([]byte{23, 3, 3, 0, 100, 1, 2, 3})
		check(t, err)
		start := time.Now()
		if res := <-done; !errors.Is(res.Err, ErrStalled) || time.Since(start) != stall || res.Bytes != 0 {
			t.Errorf("%+v after %v", res, time.Since(start))
		}
		_ = l.Close()
	})
}

// A handshake that does not begin or end is limited by the time to open a data connection, and
// the error names it.
func TestTLSHandshakeThatNeverEnds(t *testing.T) {
	for _, half := range []bool{false, true} {
		eachPrivate(t, func(t *testing.T, side ftp.Side, version uint16) {
			start := time.Now()
			_, l, done := private(t.Context(), t, side, version, Job{Sink: io.Discard, Type: ftp.Image, Stall: time.Hour})
			go func() { _, _ = io.Copy(io.Discard, l.Conn) }()
			if half {
				_, err := l.Conn.Write([]byte{22, 3, 1, 0, 100, 1})
				check(t, err)
			}
			res := <-done
			var noTLS *TLSError
			if !errors.As(res.Err, &noTLS) || !noTLS.Data || !errors.Is(res.Err, os.ErrDeadlineExceeded) || time.Since(start) != handshakes {
				t.Errorf("half %v: %+v after %v", half, res, time.Since(start))
			}
			_ = l.Close()
		})
	}
}

// Cancel ends a transfer with TLS at any point, at once and with its cause.
func TestTLSCancel(t *testing.T) {
	for name, job := range map[string]Job{
		"in the handshake":     {Type: ftp.Image, Sink: io.Discard},
		"sending":              {Type: ftp.Image, Source: zeros{}},
		"receiving":            {Type: ftp.Image, Sink: io.Discard},
		"waiting for the rate": {Type: ftp.Image, Source: zeros{}, Rates: []*rate.Limiter{NewRate(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			eachPrivate(t, func(t *testing.T, side ftp.Side, version uint16) {
				ctx, cancel := cancelled(false)
				peer, l, done := private(ctx, t, side, version, job)
				if name != "in the handshake" {
					check(t, peer.Handshake())
				}
				if job.Rates != nil {
					go func() { _, _ = io.Copy(io.Discard, peer) }()
				}
				time.Sleep(3 * time.Second)
				start := time.Now()
				cancel()
				if res := <-done; !errors.Is(res.Err, errEnough) || time.Since(start) != 0 {
					t.Errorf("%+v after %v", res, time.Since(start))
				}
				_ = l.Close()
			})
		})
	}
}

// A rate also limits transfers with TLS: after the first burst, to its number of bytes of the file per second.
func TestTLSRate(t *testing.T) {
	const perSecond, seconds = 64 << 10, 10
	data := random(perSecond * seconds)
	exact := time.Duration(len(data)-NewRate(perSecond).Burst()) * time.Second / perSecond
	judge := func(t *testing.T, what string, start time.Time, res Result) {
		t.Helper()
		if took := time.Since(start); res.Err != nil || res.Bytes != int64(len(data)) || took < exact-time.Millisecond || took > exact+time.Second {
			t.Errorf("%s: %+v after %v, want about %v", what, res, took, exact)
		}
	}
	eachPrivate(t, func(t *testing.T, side ftp.Side, version uint16) {
		start := time.Now()
		peer, _, done := private(t.Context(), t, side, version, Job{Source: bytes.NewReader(data), Type: ftp.Image, Rates: []*rate.Limiter{NewRate(perSecond)}})
		got, err := io.ReadAll(peer)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		_ = peer.Close()
		judge(t, "send", start, <-done)

		start = time.Now()
		var sink bytes.Buffer
		peer, l, done := private(t.Context(), t, side, version, Job{Sink: &sink, Type: ftp.Image, Rates: []*rate.Limiter{NewRate(perSecond)}})
		check(t, peer.Handshake())
		go func() { _, _ = io.Copy(io.Discard, l.Conn) }()
		_, err = peer.Write(data)
		check(t, err)
		check(t, peer.CloseWrite())
		judge(t, "receive", start, <-done)
		_ = l.Close()
		if !bytes.Equal(sink.Bytes(), data) {
			t.Error("the received bytes differ from those sent")
		}
	})
}
