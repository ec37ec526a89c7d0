package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

// A records reader never reads beyond the end of a TLS record, whatever the sizes of the reads and of the
// pieces in which the bytes arrive.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("\x17\x03\x03\x00\x02ab\x15\x03\x03\x00\x00PWD\r\n"), uint8(3), true)
	f.Add([]byte("\x16\x03\x01\xff\xff"), uint8(1), false)
	f.Fuzz(func(t *testing.T, in []byte, most uint8, peek bool) {
		if len(in) > 1<<12 {
			return
		}
		r := &records{Conn: pieces{r: bytes.NewReader(in)}}
		var out []byte
		left, head := 0, 0 // of the record, counted by the test
		if peek && len(in) > 0 {
			if b, err := r.peek(); err != nil || b != in[0] {
				t.Fatalf("peek: %q, %v", b, err)
			}
		}
		buf := make([]byte, int(most)+1)
		for {
			n, err := r.Read(buf)
			out = append(out, buf[:n]...)
			switch {
			case left > 0:
				if left -= n; left < 0 {
					t.Fatalf("read %d bytes beyond the record", -left)
				}
			default:
				if head += n; head > 5 {
					t.Fatalf("read %d bytes beyond the header", head-5)
				}
				if head == 5 {
					h := out[len(out)-5:]
					head, left = 0, int(h[3])<<8|int(h[4])
				}
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(out, in) {
			t.Fatalf("%q was read of %q", out, in)
		}
	})
}

// pieces is a connection whose reads return a few bytes each.
type pieces struct {
	net.Conn
	r io.Reader
}

func (p pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), 3)]) }
