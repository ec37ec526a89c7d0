package dtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"miniftp/ftp"
)

// BenchmarkModes sends files over data connections in each transfer mode, and with TLS. The
// peer discards what it receives.
func BenchmarkModes(b *testing.B) {
	text := bytes.Repeat([]byte("A line of a text, as long as lines of texts mostly are.\n"), pumped/56)
	for _, bb := range []struct {
		name   string
		mode   ftp.TransferMode
		size   int
		secure bool
	}{
		{"stream", ftp.Stream, len(text), false},
		{"block", ftp.Block, len(text), false},
		{"block, 4 KiB", ftp.Block, 4 << 10, false},
		{"deflate", ftp.Deflate, 1 << 20, false},
		{"stream under TLS", ftp.Stream, len(text), true},
		{"block of 4 KiB under TLS", ftp.Block, 4 << 10, true},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(bb.size))
			var kept *Conn
			var last net.Conn
			for b.Loop() {
				conn := kept
				if conn == nil {
					conn, last = benchConn(b, bb.secure)
				}
				res := RunOn(context.Background(), conn, Job{
					Source: bytes.NewReader(text[:bb.size]), Size: int64(bb.size), Type: ftp.Image, Mode: bb.mode,
				})
				if res.Err != nil {
					b.Fatal(res.Err)
				}
				kept = res.Kept
			}
			if kept != nil {
				_ = kept.Close()
			}
			_ = last.Close()
		})
	}
}

// benchConn returns a data connection whose peer discards what it receives.
func benchConn(b *testing.B, secure bool) (*Conn, net.Conn) {
	ours, theirs := pair(b)
	conn := &Conn{Conn: ours, o: &Opener{m: &Manager{cfg: &Config{}}}}
	var peer net.Conn = theirs
	if secure {
		conn.Conn = ServerSecurity(newConfig(b), ReusePrefer).secure(ours, false)
		peer = tls.Client(theirs, &tls.Config{InsecureSkipVerify: true}) // certificates do not matter here
	}
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	return conn, theirs
}
