package ftp

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// readLines reads until an error, and returns the lines and the error.
func readLines(r io.Reader, limit int) (lines []string, err error) {
	lr := NewLineReader(r, limit)
	for {
		line, err := lr.ReadLine()
		if err != nil {
			return lines, err
		}
		lines = append(lines, string(line))
	}
}

var lineTests = []struct {
	name, in string
	want     []string
}{
	{"CRLF", "USER a\r\nPASS b\r\n", []string{"USER a", "PASS b"}},
	{"bare LF", "USER a\nPASS b\n", []string{"USER a", "PASS b"}},
	{"empty lines", "\r\n\n\r\n", []string{"", "", ""}},
	{"blanks stay", " a \r\n\ta\t\r\n", []string{" a ", "\ta\t"}},
	{"all CRs at the end are removed", "a\rb\r\r\n", []string{"a\rb"}},
	{"an unfinished line is dropped", "a\r\nb", []string{"a"}},
	{"ABOR after a Synch", "\xff\xf4\xff\xf2ABOR\r\n", []string{"ABOR"}},
	{"its Data Mark went out of band", "\xff\xf4\xffABOR\r\n", []string{"ABOR"}},
	{"its IAC went out of band", "\xff\xf4\xf2ABOR\r\n", []string{"\xf2ABOR"}},
	{"a doubled IAC", "STOR a\xff\xffb\r\n", []string{"STOR a\xffb"}},
	{"two doubled IACs", "\xff\xff\xff\xff\r\n", []string{"\xff\xff"}},
	{"options", "\xff\xfb\x01\xff\xfc\x01\xff\xfd\x01\xff\xfe\x01NOOP\r\n", []string{"NOOP"}},
	{"option LF, then a line", "\xff\xfbNOOP\r\n", []string{"OOP"}},
	{"a subnegotiation", "\xff\xfa\x18\x00xterm\xff\xf0NOOP\r\n", []string{"NOOP"}},
	{"with a doubled IAC inside", "\xff\xfa\x18\xff\xff\xff\xf0NOOP\r\n", []string{"NOOP"}},
	{"with a line end inside", "\xff\xfa\x18\nx\xff\xf0NOOP\r\n", []string{"", "NOOP"}},
	{"other Telnet commands", "\xff\xf1NO\xff\xf9OP\r\n", []string{"NOOP"}},
	{"an IAC at the end of a line", "a\xff\r\nb\r\n", []string{"a", "b"}},
	{"half an option at the end of a line", "a\xff\xfb\r\nb\r\n", []string{"a", "b"}},
}

func TestLineReader(t *testing.T) {
	readers := []struct {
		name string
		wrap func(io.Reader) io.Reader
	}{
		{"at once", func(r io.Reader) io.Reader { return r }},
		{"byte by byte", iotest.OneByteReader},
		{"by halves", iotest.HalfReader},
		{"error with the last bytes", iotest.DataErrReader},
	}
	for _, tt := range lineTests {
		for _, r := range readers {
			got, err := readLines(r.wrap(strings.NewReader(tt.in)), 100)
			if !slices.Equal(got, tt.want) || !errors.Is(err, io.EOF) {
				t.Errorf("%s, %s: got %q, %v; want %q", tt.name, r.name, got, err, tt.want)
			}
		}
	}
}

func TestLineReaderLimit(t *testing.T) {
	fits := strings.Repeat("x", 1000)
	tests := []struct {
		name, in string
		lines    int
		want     error
	}{
		{"just fits", fits + "\n" + fits + "\n", 2, io.EOF},
		{"one too many", fits + "\n" + fits + "x\n", 1, ErrLineTooLong},
		{"without an end", fits + fits, 0, ErrLineTooLong},
		{"IAC counts", strings.Repeat("\xff\xf1", 501) + "\n", 0, ErrLineTooLong},
	}
	for _, tt := range tests {
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.DataErrReader} {
			got, err := readLines(wrap(strings.NewReader(tt.in)), 1000)
			if len(got) != tt.lines || !errors.Is(err, tt.want) {
				t.Errorf("%s: got %d lines, %v; want %d, %v", tt.name, len(got), err, tt.lines, tt.want)
			}
		}
	}
}

// endless returns the same byte forever.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestLineReaderIsBounded(t *testing.T) {
	for _, c := range []byte{'x', iac, '\r'} {
		lr := NewLineReader(endless(c), 4096)
		if _, err := lr.ReadLine(); !errors.Is(err, ErrLineTooLong) {
			t.Errorf("%q: got %v, want ErrLineTooLong", c, err)
		}
		if len(lr.buf) > 4096+idleLineBuffer {
			t.Errorf("%q: the buffer grew to %d", c, len(lr.buf))
		}
	}
}

// script returns one of its parts from each Read; "" means a timeout.
type script []string

func (s *script) Read(p []byte) (int, error) {
	if len(*s) == 0 {
		return 0, io.EOF
	}
	part := (*s)[0]
	if part == "" {
		*s = (*s)[1:]
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, part)
	if (*s)[0] = part[n:]; n == len(part) {
		*s = (*s)[1:]
	}
	return n, nil
}

func TestLineReaderTimeoutLosesNothing(t *testing.T) {
	s := &script{"US", "", "", "ER a\r", "", "\nPASS \xff", "", "\xffb\r\nQU", "", "IT\r\n", ""}
	lr := NewLineReader(s, 100)
	var lines []string
	timeouts := 0
	for {
		line, err := lr.ReadLine()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			timeouts++
			continue
		case err == nil:
			lines = append(lines, string(line))
			continue
		case !errors.Is(err, io.EOF):
			t.Fatal(err)
		}
		break
	}
	if want := []string{"USER a", "PASS \xffb", "QUIT"}; !slices.Equal(lines, want) || timeouts != 6 {
		t.Errorf("got %q and %d timeouts, want %q and 6", lines, timeouts, want)
	}
}

func TestLineReaderPending(t *testing.T) {
	lr := NewLineReader(&script{"a\r\nb\r\nc", "", "\n"}, 100)
	steps := []struct {
		line     string
		pending  bool
		buffered int
	}{{"a", true, 4}, {"b", false, 1}, {"", false, 1}, {"c", false, 0}}
	if lr.Pending() || lr.Buffered() != 0 {
		t.Error("a line is pending before anything was read")
	}
	for i, step := range steps {
		line, err := lr.ReadLine()
		if string(line) != step.line || (err != nil) != (step.line == "") {
			t.Errorf("%d: got %q, %v", i, line, err)
		}
		if lr.Pending() != step.pending || lr.Buffered() != step.buffered {
			t.Errorf("%d: pending %v, buffered %d; want %v, %d", i, lr.Pending(), lr.Buffered(), step.pending, step.buffered)
		}
	}
}

func TestLineReaderIdleIsSmall(t *testing.T) {
	long := strings.Repeat("x", 60000)
	for _, line := range []string{long, "\xff\xff" + long} {
		lr := NewLineReader(&script{line + "\n", ""}, 1<<16)
		if got, err := lr.ReadLine(); err != nil || len(got) < len(long) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
		if _, err := lr.ReadLine(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want a timeout", err)
		}
		if held := cap(lr.buf) + cap(lr.line); held > 2*idleLineBuffer {
			t.Errorf("an idle reader holds %d bytes", held)
		}
	}
}

func TestLineReaderAllocatesLittle(t *testing.T) {
	in := bytes.Repeat([]byte("STOR some name or other\r\n"), 1000)
	n := testing.AllocsPerRun(10, func() {
		lr := NewLineReader(bytes.NewReader(in), 4096)
		for {
			if _, err := lr.ReadLine(); err != nil {
				return
			}
		}
	})
	if n > 5 {
		t.Errorf("%v allocations for a thousand lines", n)
	}
}

func FuzzLineReader(f *testing.F) {
	for _, tt := range lineTests {
		f.Add([]byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 64
		whole, err := readLines(bytes.NewReader(in), limit)
		if !errors.Is(err, io.EOF) && !errors.Is(err, ErrLineTooLong) && !errors.Is(err, ErrTLS) {
			t.Fatal(err)
		}
		single, err2 := readLines(iotest.OneByteReader(bytes.NewReader(in)), limit)
		if !slices.Equal(whole, single) || !errors.Is(err2, err) {
			t.Errorf("%q: at once %q, %v; byte by byte %q, %v", in, whole, err, single, err2)
		}
		for _, line := range whole {
			if len(line) > limit || strings.Contains(line, "\n") {
				t.Errorf("%q: line %q", in, line)
			}
		}
	})
}

// A TLS handshake instead of the first line is recognized without waiting for more bytes. Later
// lines may begin with any byte.
func TestLineReaderTLS(t *testing.T) {
	lr := NewLineReader(io.MultiReader(strings.NewReader("\x16\x03\x01"), iotest.ErrReader(errors.New("waited"))), 100)
	if line, err := lr.ReadLine(); !errors.Is(err, ErrTLS) {
		t.Errorf("%q, %v", line, err)
	}
	lr = NewLineReader(strings.NewReader("NOOP\r\n\x16\r\n"), 100)
	for _, want := range []string{"NOOP", "\x16"} {
		if line, err := lr.ReadLine(); string(line) != want || err != nil {
			t.Errorf("%q, %v", line, err)
		}
	}
}
