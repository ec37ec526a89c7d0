package dtp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"miniftp/ftp"
)

// A small upload from a near peer is received at once, over a descriptor that package net does not
// know. A large upload, and one that pauses, continue in Run.
func TestQuickUpload(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		pause bool
	}{"empty": {0, false}, "small": {4096, false}, "large": {minChunk + 100, false}, "slow": {4096, true}, "slow and large": {1 << 20, true}} {
		t.Run(name, func(t *testing.T) {
			data := random(c.size)
			f := tempFile(t, nil)
			ready := 0
			tr, peer, e := started(t, Job{Sink: f, Type: ftp.Image, Ready: func() error { ready++; return nil }})
			if !tr.sock.open {
				t.Fatal("not quick")
			}
			sent, goOn := make(chan error, 1), make(chan struct{})
			send := func() {
				half := 0
				if c.pause {
					half = c.size / 2
					_, _ = peer.Write(data[:half])
					<-goOn
				}
				_, err := peer.Write(data[half:])
				sent <- errors.Join(err, peer.CloseWrite())
			}
			if c.pause {
				go send()
			} else if c.size <= 4096 {
				send() // everything was sent before
			} else {
				go send()
			}
			res, over := tr.Quick(time.Millisecond)
			close(goOn)
			if small := c.size <= 4096 && !c.pause; over != small {
				t.Errorf("over %v: %+v", over, res)
			}
			if !over {
				res = tr.Run(context.Background())
			}
			check(t, <-sent)
			got, err := os.ReadFile(f.Name())
			check(t, err)
			if res.Err != nil || res.Bytes != int64(c.size) || string(got) != string(data) || ready != 1 {
				t.Errorf("%+v, %d bytes in the file, Ready called %d times", res, len(got), ready)
			}
			hungUp(t, peer)
			if n := len(emitted[ftp.DataOpened](e)); n != 1 {
				t.Errorf("DataOpened was emitted %d times", n)
			}
		})
	}
}

// A quick upload ends early for the same reasons as any other.
func TestQuickUploadErrors(t *testing.T) {
	refusal := errors.New("not ready")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	check(t, err)
	defer full.Close()
	var local *LocalError
	var broken *BrokenError
	for name, c := range map[string]struct {
		job  Job
		rst  bool
		want func(error) bool
	}{
		"not ready": {Job{Sink: tempFile(t, nil), Ready: func() error { return refusal }}, false, func(err error) bool { return errors.Is(err, refusal) }},
		"disk full": {Job{Sink: full}, false, func(err error) bool { return errors.As(err, &local) && errors.Is(err, syscall.ENOSPC) }},
		"reset":     {Job{Sink: tempFile(t, nil)}, true, func(err error) bool { return errors.As(err, &broken) }},
	} {
		t.Run(name, func(t *testing.T) {
			c.job.Type = ftp.Image
			tr, peer, _ := started(t, c.job)
			_, err := peer.Write([]byte("some bytes"))
			check(t, err)
			if c.rst {
				check(t, peer.SetLinger(0))
			}
			check(t, peer.Close())
			if res, over := tr.Quick(patience); !over || !c.want(res.Err) {
				t.Errorf("over %v: %+v", over, res)
			}
		})
	}
}

// An upload is quick only for a near peer, because most of its time is a wait for the peer.
func TestQuickUploadIsForTheNear(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI})
	o, addr := listening(t, m)
	peer := call(t, home, addr)
	tr := o.StartNow(Job{Sink: tempFile(t, nil), Type: ftp.Image}, patience, false)
	if tr == nil || tr.sock.open {
		t.Fatalf("%+v", tr)
	}
	check(t, peer.Close())
	check(t, tr.Run(context.Background()).Err)
}

// dialing returns an Opener that dials addr.
func dialing(t *testing.T, addr netip.AddrPort) (*Opener, *events) {
	t.Helper()
	m, e := manage(t, &Config{Side: ftp.ServerPI})
	check(t, m.Dial(addr))
	o, err := m.Take()
	check(t, err)
	return o, e
}

// A near peer that listens is dialed by the goroutine that runs its command.
func TestQuickActive(t *testing.T) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(home, 0)))
	check(t, err)
	defer l.Close()
	addr := AddrPort(l.Addr())
	o, e := dialing(t, addr)
	if o.StartNow(Job{Source: tempFile(t, []byte("hello")), Type: ftp.Image, Size: 5}, patience, false) != nil {
		t.Fatal("StartNow dialed a peer that is not near")
	}
	tr := o.StartNow(Job{Source: tempFile(t, []byte("hello")), Type: ftp.Image, Size: 5}, patience, true)
	if tr == nil || !tr.sock.open {
		t.Fatalf("not quick: %+v", tr)
	}
	if res, over := tr.Quick(patience); !over || res.Err != nil || res.Bytes != 5 {
		t.Errorf("over %v: %+v", over, res)
	}
	c, err := l.AcceptTCP()
	check(t, err)
	defer c.Close()
	wantBytes(t, c, []byte("hello"))
	opened := emitted[ftp.DataOpened](e)
	if len(opened) != 1 || opened[0].Mode != ftp.Active || opened[0].Remote != addr || opened[0].Local != AddrPort(c.RemoteAddr()) {
		t.Errorf("emitted %+v", opened)
	}
}

// If the peer does not listen, the dial is refused, as without StartNow.
func TestQuickActiveRefused(t *testing.T) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(home, 0)))
	check(t, err)
	addr := AddrPort(l.Addr())
	check(t, l.Close())
	o, e := dialing(t, addr)
	job := Job{Source: tempFile(t, []byte("x")), Type: ftp.Image, Size: 1}
	if tr := o.StartNow(job, patience, true); tr != nil {
		t.Fatalf("started %+v without a connection", tr)
	}
	var open *OpenError
	if res := Run(context.Background(), o, job); !errors.As(res.Err, &open) || !errors.Is(res.Err, syscall.ECONNREFUSED) {
		t.Errorf("%+v", res)
	}
	if n := len(emitted[ftp.DataFailed](e)); n != 1 {
		t.Errorf("DataFailed was emitted %d times", n)
	}
}

// fullListener returns a listener that ignores connections until it is emptied.
func fullListener(t *testing.T) (fd int, addr netip.AddrPort) {
	t.Helper()
	noLeaks(t)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	check(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: home.As4()}))
	check(t, syscall.Listen(fd, 0))
	addr = sockname(fd)
	call(t, home, addr)
	return fd, addr
}

// A dial that is not answered at once is not repeated. Run waits for its answer.
func TestQuickActivePending(t *testing.T) {
	fd, addr := fullListener(t)
	o, _ := dialing(t, addr)
	f := tempFile(t, []byte("hello"))
	job := Job{Source: f, Type: ftp.Image, Size: 5}
	if tr := o.StartNow(job, time.Millisecond, true); tr != nil || o.dialing == nil {
		t.Fatalf("%+v, calling %v", tr, o.dialing)
	}
	from := sockname(int(o.dialing.Fd()))
	check(t, syscall.SetNonblock(int(o.dialing.Fd()), true)) // because Fd makes it blocking
	drop, _, err := syscall.Accept(fd)
	check(t, err)
	check(t, syscall.Close(drop))
	done := make(chan Result, 1)
	go func() { done <- Run(context.Background(), o, job) }()
	nfd, sa, err := syscall.Accept(fd)
	check(t, err)
	conn := os.NewFile(uintptr(nfd), "peer")
	defer conn.Close()
	if got := sockaddr(sa); got != from {
		t.Errorf("the connection is from %v, but the first dial was from %v", got, from)
	}
	wantBytes(t, conn, []byte("hello"))
	if res := <-done; res.Err != nil || res.Bytes != 5 {
		t.Errorf("%+v", res)
	}
}

// A dial that waits for its answer ends with the context, and with Close of the Opener.
func TestQuickActivePendingEnds(t *testing.T) {
	_, addr := fullListener(t)
	job := Job{Source: tempFile(t, []byte("x")), Type: ftp.Image, Size: 1}
	o, _ := dialing(t, addr)
	if tr := o.StartNow(job, 0, true); tr != nil || o.dialing == nil {
		t.Fatalf("%+v", tr)
	}
	ctx, _ := cancelled(true)
	if res := within(t, func() Result { return Run(ctx, o, job) }); !errors.Is(res.Err, errEnough) {
		t.Errorf("%+v", res)
	}
	o, _ = dialing(t, addr)
	if tr := o.StartNow(job, 0, true); tr != nil || o.dialing == nil {
		t.Fatalf("%+v", tr)
	}
	o.Close()
}
