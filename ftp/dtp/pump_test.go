package dtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
)

// wires holds functions that return the two ends of a data connection.
var wires = map[string]func(t testing.TB) (ours, theirs net.Conn){
	"tcp": func(t testing.TB) (net.Conn, net.Conn) { return pair(t) },
	"pipe": func(t testing.TB) (net.Conn, net.Conn) {
		a, b := net.Pipe()
		t.Cleanup(func() { _, _ = a.Close(), b.Close() })
		return a, b
	},
}

// storage holds functions that return a file of some kind, at its start.
var storage = map[string]func(t testing.TB, content []byte) io.ReadWriteSeeker{
	"file": func(t testing.TB, content []byte) io.ReadWriteSeeker { return tempFile(t, content) },
	"memory": func(t testing.TB, content []byte) io.ReadWriteSeeker {
		f, err := afero.NewMemMapFs().Create("/file")
		check(t, err)
		_, err = f.Write(content)
		check(t, err)
		_, err = f.Seek(0, io.SeekStart)
		check(t, err)
		return f
	},
	"wrapped file": func(t testing.TB, content []byte) io.ReadWriteSeeker {
		return struct{ io.ReadWriteSeeker }{tempFile(t, content)}
	},
}

var sizes = []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 8 << 20}

// each runs f for every wire and every storage.
func each(t *testing.T, f func(t *testing.T, ours, theirs net.Conn, file func([]byte) io.ReadWriteSeeker, size int)) {
	for wire, connect := range wires {
		for kind, file := range storage {
			for _, size := range sizes {
				t.Run(fmt.Sprintf("%s, %s, %d", wire, kind, size), func(t *testing.T) {
					noLeaks(t)
					ours, theirs := connect(t)
					f(t, ours, theirs, func(b []byte) io.ReadWriteSeeker { return file(t, b) }, size)
				})
			}
		}
	}
}

// growing returns a Progress that checks that its values never decrease. last is the last value.
func growing(t testing.TB) (progress func(int64), last *int64) {
	last = new(int64)
	return func(n int64) {
		if n <= *last {
			t.Errorf("progress %d after %d", n, *last)
		}
		*last = n
	}, last
}

func TestSendIsExact(t *testing.T) {
	testutil.Long(t)
	each(t, func(t *testing.T, ours, theirs net.Conn, file func([]byte) io.ReadWriteSeeker, size int) {
		data := random(size)
		progress, last := growing(t)
		done := run(context.Background(), ours, Job{Source: file(data), Type: ftp.Image, Progress: progress})
		wantBytes(t, theirs, data)
		res := <-done
		if res.Err != nil || res.Bytes != int64(size) || !res.Opened || *last != int64(size) {
			t.Errorf("%+v, progress %d", res, *last)
		}
	})
}

func TestReceiveIsExact(t *testing.T) {
	testutil.Long(t)
	each(t, func(t *testing.T, ours, theirs net.Conn, file func([]byte) io.ReadWriteSeeker, size int) {
		data := random(size)
		progress, last := growing(t)
		f := file(nil)
		done := run(context.Background(), ours, Job{Sink: f, Type: ftp.Image, Progress: progress})
		_, err := theirs.Write(data)
		check(t, err)
		check(t, theirs.Close())
		res := <-done
		if res.Err != nil || res.Bytes != int64(size) || !res.Opened || *last != int64(size) {
			t.Errorf("%+v, progress %d", res, *last)
		}
		_, err = f.Seek(0, io.SeekStart)
		check(t, err)
		wantBytes(t, f, data)
	})
}

// Size limits what is sent, from the position of the source on. A shorter source is not an
// error.
func TestSize(t *testing.T) {
	data := random(300_000)
	for _, size := range []int64{1, 1000, minChunk, minChunk + 1, 299_900, 1 << 40} {
		for kind, file := range storage {
			for wire, connect := range wires {
				noLeaks(t)
				f := file(t, data)
				_, err := f.Seek(100, io.SeekStart)
				check(t, err)
				ours, theirs := connect(t)
				done := run(context.Background(), ours, Job{Source: f, Type: ftp.Image, Size: size})
				want := data[100:]
				want = want[:min(size, int64(len(want)))]
				got, err := io.ReadAll(theirs)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s, %s, size %d: received %d bytes, %v", kind, wire, size, len(got), err)
				}
				if res := <-done; res.Err != nil || res.Bytes != int64(len(want)) {
					t.Errorf("%s, %s, size %d: %+v", kind, wire, size, res)
				}
			}
		}
	}
}

// A Sink gets at most Size bytes if Bounded is set, and the error is ErrMore if more were received.
func TestBounded(t *testing.T) {
	testutil.Long(t)
	each(t, func(t *testing.T, ours, theirs net.Conn, file func([]byte) io.ReadWriteSeeker, size int) {
		data := random(size + 1)
		f := file(nil)
		done := run(context.Background(), ours, Job{Sink: f, Type: ftp.Image, Size: int64(size), Bounded: true})
		go func() { _, _ = theirs.Write(data); _ = theirs.Close() }()
		res := <-done
		_, err := f.Seek(0, io.SeekStart)
		check(t, err)
		got, err := io.ReadAll(f)
		check(t, err)
		if !errors.Is(res.Err, ErrMore) || !bytes.Equal(got, data[:size]) {
			t.Errorf("the sink has %d bytes of %d, %v", len(got), size, res.Err)
		}
	})
}

// For text, Size limits the bytes of the source, and Bytes counts those on the network.
func TestSizeOfText(t *testing.T) {
	for kind, file := range storage {
		ours, theirs := pair(t)
		done := run(context.Background(), ours, Job{Source: file(t, []byte("a\nb\nc\n")), Type: ftp.ASCII, Size: 4})
		wantBytes(t, theirs, []byte("a\r\nb\r\n"))
		if res := <-done; res.Err != nil || res.Bytes != 6 {
			t.Errorf("%s: %+v", kind, res)
		}
	}
}

// Lines end in CRLF on the network and in LF in the file. A CR without LF is not changed.
func TestTextOverTheWire(t *testing.T) {
	text := strings.Repeat("one\r\ntwo\nthree\r\r\n\n", 50_000)
	lines := strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	for kind, file := range storage {
		for wire, connect := range wires {
			ours, theirs := connect(t)
			done := run(context.Background(), ours, Job{Source: file(t, []byte(text)), Type: ftp.ASCII})
			wantBytes(t, theirs, []byte(lines))
			if res := <-done; res.Err != nil || res.Bytes != int64(len(lines)) {
				t.Errorf("%s, %s: %+v", kind, wire, res)
			}

			f := file(t, nil)
			ours, theirs = connect(t)
			done = run(context.Background(), ours, Job{Sink: f, Type: ftp.ASCII})
			_, err := io.WriteString(theirs, lines+"end\r")
			check(t, err)
			check(t, theirs.Close())
			if res := <-done; res.Err != nil || res.Bytes != int64(len(lines))+4 {
				t.Errorf("%s, %s: %+v", kind, wire, res)
			}
			_, err = f.Seek(0, io.SeekStart)
			check(t, err)
			wantBytes(t, f, []byte(strings.ReplaceAll(lines, "\r\n", "\n")+"end\r"))
		}
	}
}

// countingFile wraps a file, so that its methods are called when it is copied.
// (ReadFrom and WriteTo hide those of *os.File.)
type countingFile struct {
	*os.File
	reads, writes int
}

func (f *countingFile) Read(p []byte) (int, error)  { f.reads++; return f.File.Read(p) }
func (f *countingFile) Write(p []byte) (int, error) { f.writes++; return f.File.Write(p) }

// A wrapped file is copied through a buffer, even if it has ReadFrom and WriteTo.
func TestWrappedFileIsReadAndWritten(t *testing.T) {
	data := random(1 << 20)
	src := &countingFile{File: tempFile(t, data)}
	ours, theirs := pair(t)
	done := run(context.Background(), ours, Job{Source: src, Type: ftp.Image})
	wantBytes(t, theirs, data)
	if res := <-done; res.Err != nil || src.reads < 2 {
		t.Errorf("%+v after %d reads", res, src.reads)
	}

	dst := &countingFile{File: tempFile(t, nil)}
	ours, theirs = pair(t)
	done = run(context.Background(), ours, Job{Sink: dst, Type: ftp.Image})
	_, err := theirs.Write(data)
	check(t, err)
	check(t, theirs.Close())
	if res := <-done; res.Err != nil || dst.writes == 0 {
		t.Errorf("%+v after %d writes", res, dst.writes)
	}
}

// The kernel moves bytes only between a regular file and a TCP connection, neither of them wrapped.
func TestBare(t *testing.T) {
	noLeaks(t)
	tcp, _ := pair(t)
	piped, other := net.Pipe()
	defer piped.Close()
	defer other.Close()
	file := tempFile(t, []byte("x"))
	r, w, err := os.Pipe()
	check(t, err)
	defer r.Close()
	defer w.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	check(t, err)
	defer null.Close()
	for _, tc := range []struct {
		name string
		job  Job
		conn net.Conn
		want bool
	}{
		{"file to tcp", Job{Source: file}, tcp, true},
		{"tcp to file", Job{Sink: file}, tcp, true},
		{"wrapped file to tcp", Job{Source: struct{ io.Reader }{file}}, tcp, false},
		{"embedded file to tcp", Job{Source: &countingFile{File: file}}, tcp, false},
		{"tcp to wrapped file", Job{Sink: struct{ io.Writer }{file}}, tcp, false},
		{"tcp to embedded file", Job{Sink: &countingFile{File: file}}, tcp, false},
		{"file to pipe", Job{Source: file}, piped, false},
		{"file to wrapped tcp", Job{Source: file}, struct{ net.Conn }{tcp}, false},
		{"wrapped tcp to file", Job{Sink: file}, struct{ net.Conn }{tcp}, false},
		{"memory to tcp", Job{Source: bytes.NewReader(nil)}, tcp, false},
		{"tcp to memory", Job{Sink: new(bytes.Buffer)}, tcp, false},
		{"nil file", Job{Source: (*os.File)(nil)}, tcp, false},
		{"system pipe to tcp", Job{Source: r}, tcp, false},
		{"tcp to system pipe", Job{Sink: w}, tcp, false},
		{"tcp to device", Job{Sink: null}, tcp, false},
	} {
		if got := (&pump{job: tc.job, conn: tc.conn}).inKernel(); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}
