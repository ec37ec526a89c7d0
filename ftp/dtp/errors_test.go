package dtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"miniftp/ftp"
)

var errDisk = errors.New("the disk is on fire")

// failing is a writer that accepts a number of bytes and then fails.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

// isLocal checks that err is a *LocalError with the text of cause.
func isLocal(t testing.TB, what string, err, cause error) {
	t.Helper()
	var local *LocalError
	if !errors.As(err, &local) || !errors.Is(err, cause) {
		t.Errorf("%s: %#v (%v), want a *LocalError for %v", what, err, err, cause)
	}
}

// isBroken checks that err is a *BrokenError without addresses.
func isBroken(t testing.TB, what string, err error) {
	t.Helper()
	var broken *BrokenError
	if !errors.As(err, &broken) || strings.Contains(fmt.Sprint(err), "127.0.0.1") {
		t.Errorf("%s: %#v (%v), want a *BrokenError without addresses", what, err, err)
	}
}

func TestFailingReader(t *testing.T) {
	noLeaks(t)
	for wire, connect := range wires {
		for _, typ := range []ftp.Type{ftp.Image, ftp.ASCII} {
			what := fmt.Sprint(wire, " ", typ)
			ours, theirs := connect(t)
			src := io.MultiReader(strings.NewReader("first"), iotest.ErrReader(errDisk))
			done := run(context.Background(), ours, Job{Source: src, Type: typ})
			wantBytes(t, theirs, []byte("first"))
			res := <-done
			isLocal(t, what, res.Err, errDisk)
			if res.Bytes != 5 || !res.Opened {
				t.Errorf("%s: %+v", what, res)
			}
			if res.Err.Error() != errDisk.Error() {
				t.Errorf("%s: %q", what, res.Err)
			}
		}
	}
	// The bytes that a Read returns together with its error are sent.
	ours, theirs := pair(t)
	done := run(context.Background(), ours, Job{Source: iotest.DataErrReader(strings.NewReader("all\n"))})
	wantBytes(t, theirs, []byte("all\r\n"))
	if res := <-done; res.Err != nil || res.Bytes != 5 {
		t.Errorf("%+v", res)
	}
}

func TestFailingWriter(t *testing.T) {
	noLeaks(t)
	for wire, connect := range wires {
		for _, typ := range []ftp.Type{ftp.Image, ftp.ASCII} {
			ours, theirs := connect(t)
			sink := &failing{left: 1000}
			done := run(context.Background(), ours, Job{Sink: sink, Type: typ})
			sent := make(chan error, 1)
			go func() { _, err := theirs.Write(make([]byte, 8<<20)); sent <- err }()
			isLocal(t, wire, (<-done).Err, errDisk)
			if <-sent == nil {
				t.Errorf("%s: the peer could send everything, although nothing was read", wire)
			}
		}
	}
}

func TestClosedFiles(t *testing.T) {
	noLeaks(t)
	for _, typ := range []ftp.Type{ftp.Image, ftp.ASCII} {
		f := tempFile(t, []byte("x"))
		check(t, f.Close())
		ours, theirs := pair(t)
		isLocal(t, "source", (<-run(context.Background(), ours, Job{Source: f, Type: typ})).Err, os.ErrClosed)
		hungUp(t, theirs)
		ours, theirs = pair(t)
		_, err := theirs.Write([]byte("x"))
		check(t, err)
		isLocal(t, "sink", (<-run(context.Background(), ours, Job{Sink: f, Type: typ})).Err, os.ErrClosed)
	}
}

// A file that is open only for the other direction. The kernel reports this from the same call that
// reports errors of the connection.
func TestWrongWayFiles(t *testing.T) {
	noLeaks(t)
	name := tempFile(t, random(1000)).Name()
	readOnly, err := os.Open(name)
	check(t, err)
	defer readOnly.Close()
	writeOnly, err := os.OpenFile(name, os.O_WRONLY, 0)
	check(t, err)
	defer writeOnly.Close()
	for _, typ := range []ftp.Type{ftp.Image, ftp.ASCII} {
		ours, _ := pair(t)
		isLocal(t, "source", (<-run(context.Background(), ours, Job{Source: writeOnly, Type: typ})).Err, syscall.EBADF)
		ours, theirs := pair(t)
		_, err := theirs.Write([]byte("x"))
		check(t, err)
		isLocal(t, "sink", (<-run(context.Background(), ours, Job{Sink: readOnly, Type: typ})).Err, syscall.EBADF)
	}
}

// A reset by the peer is a failure of the connection, in the kernel's copy and
// through a buffer.
func TestResetByPeer(t *testing.T) {
	noLeaks(t)
	large := random(8 << 20)
	for kind, file := range storage {
		for _, typ := range []ftp.Type{ftp.Image, ftp.ASCII} {
			what := fmt.Sprint(kind, " ", typ)
			ours, theirs := pair(t)
			done := run(context.Background(), ours, Job{Sink: file(t, nil), Type: typ})
			_, err := theirs.Write(large[:100])
			check(t, err)
			check(t, theirs.SetLinger(0))
			check(t, theirs.Close())
			isBroken(t, what+", receiving", (<-done).Err)

			ours, theirs = pair(t)
			done = run(context.Background(), ours, Job{Source: file(t, large), Type: typ})
			_, err = io.CopyN(io.Discard, theirs, 1000)
			check(t, err)
			check(t, theirs.SetLinger(0))
			check(t, theirs.Close())
			res := <-done
			isBroken(t, what+", sending", res.Err)
			if res.Bytes < 1000 || res.Bytes > int64(len(large))*2 {
				t.Errorf("%s: %+v", what, res)
			}
		}
	}
}

// A peer that has closed its end of a net.Pipe.
func TestPipeClosedByPeer(t *testing.T) {
	noLeaks(t)
	ours, theirs := net.Pipe()
	check(t, theirs.Close())
	isBroken(t, "sending", (<-run(context.Background(), ours, Job{Source: strings.NewReader("x")})).Err)
	ours, theirs = net.Pipe()
	check(t, theirs.Close())
	if res := <-run(context.Background(), ours, Job{Sink: io.Discard}); res.Err != nil {
		t.Errorf("receiving: %+v", res)
	}
}

// A broken pipe to another program is a local error, not one of the connection.
func TestBrokenLocalPipe(t *testing.T) {
	noLeaks(t)
	for _, typ := range []ftp.Type{ftp.Image, ftp.ASCII} {
		r, w, err := os.Pipe()
		check(t, err)
		check(t, r.Close())
		ours, theirs := pair(t)
		_, err = theirs.Write([]byte("x"))
		check(t, err)
		isLocal(t, typ.String(), (<-run(context.Background(), ours, Job{Sink: w, Type: typ})).Err, syscall.EPIPE)
		check(t, w.Close())
	}
}

// If Opened returns an error or panics, the data connection is closed.
func TestOpenedRefuses(t *testing.T) {
	noLeaks(t)
	for _, reset := range []bool{false, true} {
		ours, theirs := pair(t)
		job := Job{Source: strings.NewReader("x"), Reset: reset, Opened: func(*Conn) error { return errDisk }}
		if res := <-run(context.Background(), ours, job); !errors.Is(res.Err, errDisk) || res.Bytes != 0 || !res.Opened {
			t.Errorf("%+v", res)
		}
		hungUp(t, theirs)
	}
	for name, job := range map[string]Job{
		"Opened": {Source: strings.NewReader("x"), Opened: func(*Conn) error { panic(errDisk) }},
		"Source": {Source: panicking{}},
		"Sink":   {Sink: panicking{}},
	} {
		ours, theirs := pair(t)
		_, err := theirs.Write([]byte("x"))
		check(t, err)
		func() {
			defer func() {
				if p := recover(); p != any(errDisk) {
					t.Errorf("%s: recovered %v", name, p)
				}
			}()
			RunOn(context.Background(), &Conn{Conn: ours}, job)
		}()
		hungUp(t, theirs)
	}
}

// The same for a Job that StartNow has started.
func TestPanicAfterStartNow(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI})
	o, addr := listening(t, m)
	c := call(t, home, addr)
	tr := o.StartNow(Job{Source: panicking{}}, patience, true)
	func() {
		defer func() {
			if p := recover(); p != any(errDisk) {
				t.Errorf("recovered %v", p)
			}
		}()
		tr.Run(context.Background())
	}()
	hungUp(t, c)
}

type panicking struct{}

func (panicking) Read([]byte) (int, error)  { panic(errDisk) }
func (panicking) Write([]byte) (int, error) { panic(errDisk) }

// With Reset a Job that fails ends in a reset, so that the peer does not mistake the bytes for the
// whole file. A Job that succeeds ends as usual.
func TestReset(t *testing.T) {
	noLeaks(t)
	for _, reset := range []bool{false, true} {
		ours, theirs := pair(t)
		read := make(chan struct{})
		done := run(context.Background(), ours, Job{Source: &stepped{text: "half", next: read, err: errDisk}, Type: ftp.Image, Reset: reset})
		b := make([]byte, 4)
		_, err := io.ReadFull(theirs, b)
		check(t, err)
		close(read)
		isLocal(t, "short", (<-done).Err, errDisk)
		_, err = theirs.Read(b)
		if reset != errors.Is(err, syscall.ECONNRESET) || !reset && !errors.Is(err, io.EOF) {
			t.Errorf("reset %v: the peer sees %v", reset, err)
		}

		ours, theirs = pair(t)
		done = run(context.Background(), ours, Job{Source: strings.NewReader("whole"), Type: ftp.Image, Reset: reset})
		wantBytes(t, theirs, []byte("whole"))
		check(t, (<-done).Err)
	}
}

// stepped is a reader that returns a text, waits, and fails.
type stepped struct {
	text string
	next chan struct{}
	err  error
}

func (s *stepped) Read(p []byte) (int, error) {
	if s.text == "" {
		<-s.next
		return 0, s.err
	}
	n := copy(p, s.text)
	s.text = s.text[n:]
	return n, nil
}

// A peer that accepts a connection and resets it at once can make connect itself fail. The
// data connection was open nevertheless, so the error must report a broken connection.
func TestResetDuringConnect(t *testing.T) {
	cfg := &Config{Side: ftp.UserPI, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNRESET)}
	}}
	here := netip.MustParseAddrPort("127.0.0.1:50000")
	m := NewManager(cfg, here, here, nil)
	if err := m.Dial(here); err != nil {
		t.Fatal(err)
	}
	o, err := m.Take()
	if err != nil {
		t.Fatal(err)
	}
	var broken *BrokenError
	if res := Run(t.Context(), o, Job{Sink: io.Discard}); !errors.As(res.Err, &broken) || !errors.Is(res.Err, syscall.ECONNRESET) {
		t.Errorf("the error is %T %v", res.Err, res.Err)
	}
}
