package ftp

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// repeated is a reader of the same lines forever.
type repeated struct {
	lines []byte
	at    int
}

func (e *repeated) Read(p []byte) (int, error) {
	n := copy(p, e.lines[e.at:])
	e.at = (e.at + n) % len(e.lines)
	return n, nil
}

func BenchmarkReadLine(b *testing.B) {
	for _, bb := range []struct {
		name string
		r    io.Reader
		size int
	}{
		{"one at a time", &repeated{lines: []byte("RETR some/where/file.txt\r\n")}, 26},
		{"pipelined", &repeated{lines: bytes.Repeat([]byte("RETR some/where/file.txt\r\n"), 100)}, 26},
		{"Telnet", &repeated{lines: []byte("\xff\xf4\xff\xf2ABOR\r\n")}, 10},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(bb.size))
			l := NewLineReader(bb.r, 8<<10)
			for b.Loop() {
				if _, err := l.ReadLine(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendReply(b *testing.B) {
	for _, bb := range []struct {
		name string
		r    Reply
	}{
		{"one line", NewReply(226, "Done: 4096 bytes.")},
		{"FEAT", NewReply(211, "Features:", " EPSV", " MDTM", " MLST type*;size*;modify*;", " REST STREAM", " SIZE", "End")},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var out []byte
			for b.Loop() {
				out = bb.r.Append(out[:0])
			}
			b.SetBytes(int64(len(out)))
		})
	}
}

func BenchmarkParseCommand(b *testing.B) {
	line := []byte("RETR some/where/file.txt")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCommand(line); err != nil {
			b.Fatal(err)
		}
	}
}

// A line of a listing needs no allocation if the buffer has room.
func TestLinesAllocateNothing(t *testing.T) {
	e := Entry{
		Name: "file.txt", Type: FileEntry, Size: 4096, Modified: time.Unix(1e9, 0), Mode: 0o644, HasMode: true,
		Links: 1, Owner: "1000", Group: "1000", Perm: "adfrw", Unique: "1g2",
	}
	now := time.Unix(1e9+3600, 0)
	buf := make([]byte, 0, 512)
	for verb, line := range map[string]func() []byte{
		"LIST": func() []byte { return AppendList(buf, &e, now) },
		"MLSD": func() []byte { return AppendMLSx(buf, &e, AllFacts) },
	} {
		if n := testing.AllocsPerRun(100, func() { line() }); n != 0 || len(line()) == 0 {
			t.Errorf("a line of %s makes %v allocations and has %d bytes", verb, n, len(line()))
		}
	}
}
