package dtp

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"miniftp/ftp"
)

func BenchmarkASCII(b *testing.B) {
	text := bytes.Repeat([]byte("A line of a text, as long as lines of texts mostly are.\n"), textLen/56)
	wire := bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	for _, bb := range []struct {
		name string
		st   stage
		in   []byte
	}{{"to the wire", new(toNet), text}, {"to the file", new(fromNet), wire}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(bb.in)))
			out := make([]byte, 0, 2*len(bb.in))
			for b.Loop() {
				out = bb.st.append(out[:0], bb.in)
			}
		})
	}
}

const pumped = 8 << 20

// BenchmarkPump sends a file of 8 MiB to a peer on loopback that discards it: by the
// kernel, through a buffer, and as ASCII.
func BenchmarkPump(b *testing.B) {
	name := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(name, bytes.Repeat([]byte("0123456789abcde\n"), pumped/16), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, bb := range []struct {
		name string
		size int64
		typ  ftp.Type
		wrap bool
	}{{"kernel", pumped, ftp.Image, false}, {"buffered", pumped, ftp.Image, true}, {"ASCII", pumped, ftp.ASCII, false}, {"4 KiB", 4 << 10, ftp.Image, false}} {
		b.Run(bb.name, func(b *testing.B) {
			ports, err := NewPorts(PortRange{})
			if err != nil {
				b.Fatal(err)
			}
			m, _ := manage(b, &Config{Side: ftp.ServerPI, Ports: ports})
			b.ReportAllocs()
			b.SetBytes(bb.size)
			buf := make([]byte, 256<<10)
			for b.Loop() {
				sendOnce(b, m, name, bb.size, bb.typ, bb.wrap, buf)
			}
		})
	}
}

// sendOnce opens a passive data connection and sends the beginning of a file.
func sendOnce(b *testing.B, m *Manager, name string, size int64, typ ftp.Type, wrap bool, buf []byte) {
	addr, err := m.Listen()
	if err != nil {
		b.Fatal(err)
	}
	peer, err := net.Dial("tcp", addr.String())
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	f, err := os.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	job := Job{Source: f, Size: size, Type: typ}
	if wrap {
		job.Source = struct{ io.Reader }{f}
	}
	o, err := m.Take()
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan Result, 1)
	go func() {
		if t := o.StartNow(job, time.Second, true); t != nil {
			res, over := t.Quick(patience)
			if !over {
				res = t.Run(context.Background())
			}
			done <- res
			return
		}
		done <- Run(context.Background(), o, job)
	}()
	got := int64(0)
	for err == nil {
		var n int
		n, err = peer.Read(buf)
		got += int64(n)
	}
	if res := <-done; res.Err != nil || got < size {
		b.Fatalf("received %d of %d bytes: %v", got, size, res.Err)
	}
}
