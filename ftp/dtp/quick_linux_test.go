package dtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
)

// started offers a port, connects to it as the peer, and starts the job.
func started(t testing.TB, job Job) (*Started, *net.TCPConn, *events) {
	t.Helper()
	m, e := manage(t, &Config{Side: ftp.ServerPI})
	o, addr := listening(t, m)
	c := call(t, home, addr)
	tr := o.StartNow(job, patience, true)
	if tr == nil {
		t.Fatal("StartNow found no connection")
	}
	return tr, c, e
}

// startedNarrow is like started, with a peer whose receive buffer is small.
func startedNarrow(t testing.TB, job Job) (*Started, *net.TCPConn) {
	t.Helper()
	m, _ := manage(t, &Config{Side: ftp.ServerPI})
	o, addr := listening(t, m)
	c := narrowCall(t, addr)
	tr := o.StartNow(job, patience, true)
	if tr == nil {
		t.Fatal("StartNow found no connection")
		return nil, nil
	}
	check(t, syscall.SetsockoptInt(tr.sock.fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096))
	return tr, c
}

// narrowCall is like call, from a socket with a small receive buffer. The size must be set
// before the connect.
func narrowCall(t testing.TB, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		controlErr := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		return errors.Join(err, controlErr)
	}}
	c, err := d.Dial("tcp", to.String())
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// A small file is sent at once, over a descriptor that package net does not know.
func TestQuickWhole(t *testing.T) {
	for _, size := range []int{0, 1, 4096, minChunk - 1, minChunk, minChunk + 1} {
		for _, known := range []bool{true, false} { // a Size of 0 means until the end
			if known && size > minChunk {
				continue
			}
			data := random(size)
			job := Job{Source: tempFile(t, data), Type: ftp.Image}
			if known {
				job.Size = int64(size)
			}
			var progress int64
			job.Progress = func(n int64) { progress = n }
			tr, c, e := started(t, job)
			if !tr.sock.open {
				t.Fatalf("size %d: not quick", size)
			}
			res, over := tr.Quick(patience)
			if !over && size < minChunk {
				t.Errorf("size %d, known %v: the transfer has not ended", size, known)
			}
			if !over {
				res = tr.Run(context.Background())
			}
			if res.Err != nil || res.Bytes != int64(size) || !res.Opened || progress != int64(size) {
				t.Errorf("size %d, known %v: %+v, progress %d", size, known, res, progress)
			}
			wantBytes(t, c, data)
			if opened := emitted[ftp.DataOpened](e); len(opened) != 1 || opened[0].Remote.Addr() != home || opened[0].Mode != ftp.Passive {
				t.Errorf("emitted %+v", opened)
			}
		}
	}
}

// Part of a file is sent: Size bytes from its position (REST).
func TestQuickPart(t *testing.T) {
	data := random(1000)
	f := tempFile(t, data)
	_, err := f.Seek(100, io.SeekStart)
	check(t, err)
	tr, c, _ := started(t, Job{Source: f, Type: ftp.Image, Size: 50})
	if res, over := tr.Quick(patience); !over || res.Err != nil || res.Bytes != 50 {
		t.Errorf("%+v, over %v", res, over)
	}
	wantBytes(t, c, data[100:150])
}

// A file that has become shorter is sent to its end.
func TestQuickShorterFile(t *testing.T) {
	tr, c, _ := started(t, Job{Source: tempFile(t, []byte("0123456789")), Type: ftp.Image, Size: 1000})
	if res, over := tr.Quick(patience); !over || res.Err != nil || res.Bytes != 10 {
		t.Errorf("%+v, over %v", res, over)
	}
	wantBytes(t, c, []byte("0123456789"))
}

// Run sends what the socket does not accept at once.
func TestQuickContinuesInRun(t *testing.T) {
	for _, known := range []bool{true, false} {
		data := random(minChunk)
		job := Job{Source: tempFile(t, data), Type: ftp.Image}
		if known {
			job.Size = minChunk
		}
		last := int64(0)
		job.Progress = func(n int64) {
			if n <= last {
				t.Errorf("progress %d after %d", n, last)
			}
			last = n
		}
		tr, c := startedNarrow(t, job)
		if res, over := tr.Quick(patience); over {
			t.Fatalf("the socket accepted everything at once: %+v", res)
		}
		before := tr.pump.moved
		if before == 0 || before >= minChunk {
			t.Fatalf("%d bytes were sent at once", before)
		}
		done := make(chan Result, 1)
		go func() { done <- tr.Run(context.Background()) }()
		wantBytes(t, c, data)
		if res := <-done; res.Err != nil || res.Bytes != minChunk || last != minChunk {
			t.Errorf("%+v, progress %d", res, last)
		}
	}
}

// Cancel and Stall apply to the part that Run sends.
func TestQuickCancelledInRun(t *testing.T) {
	tr, c := startedNarrow(t, Job{Source: tempFile(t, random(minChunk)), Type: ftp.Image, Size: minChunk})
	if _, over := tr.Quick(patience); over {
		t.Fatal("the socket accepted everything at once")
	}
	ctx, _ := cancelled(true)
	if res := within(t, func() Result { return tr.Run(ctx) }); !errors.Is(res.Err, errEnough) {
		t.Errorf("%+v", res)
	}
	if b, err := io.ReadAll(c); len(b) >= minChunk {
		t.Errorf("read %d bytes, %v", len(b), err)
	}
}

// Run alone does the same as Quick.
func TestQuickWithoutBrief(t *testing.T) {
	data := random(5000)
	tr, c, _ := started(t, Job{Source: tempFile(t, data), Type: ftp.Image, Size: 5000})
	if res := tr.Run(context.Background()); res.Err != nil || res.Bytes != 5000 {
		t.Errorf("%+v", res)
	}
	wantBytes(t, c, data)
}

func TestQuickDropsStrangers(t *testing.T) {
	m, e := manage(t, &Config{Side: ftp.ServerPI})
	o, addr := listening(t, m)
	job := Job{Source: tempFile(t, []byte("secret")), Type: ftp.Image, Size: 6}
	thief := call(t, stranger, addr)
	if tr := o.StartNow(job, time.Nanosecond, true); tr != nil {
		t.Fatal("a stranger is served")
	}
	hungUp(t, thief)
	thief = call(t, stranger, addr)
	c := call(t, home, addr)
	tr := o.StartNow(job, patience, true)
	if tr == nil {
		t.Fatal("the peer is not served")
	}
	if res, over := tr.Quick(patience); !over || res.Err != nil {
		t.Errorf("%+v, over %v", res, over)
	}
	hungUp(t, thief)
	wantBytes(t, c, []byte("secret"))
	if refused := emitted[ftp.StrangerRefused](e); len(refused) != 2 || refused[1].Remote != AddrPort(thief.LocalAddr()) {
		t.Errorf("StrangerRefused for %v", refused)
	}
}

// If no peer has connected, StartNow does not change the Opener.
func TestStartNowTooEarly(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI})
	o, addr := listening(t, m)
	for _, job := range []Job{
		{Source: tempFile(t, []byte("x")), Type: ftp.Image, Size: 1},
		{Sink: tempFile(t, nil), Type: ftp.Image},
	} {
		if tr := o.StartNow(job, time.Nanosecond, true); tr != nil {
			t.Fatalf("started %+v without a connection", tr)
		}
	}
	c := call(t, home, addr)
	res := Run(context.Background(), o, Job{Source: strings.NewReader("x"), Type: ftp.Image})
	check(t, res.Err)
	wantBytes(t, c, []byte("x"))

	check(t, m.Dial(addr))
	o, err := m.Take()
	check(t, err)
	if tr := o.StartNow(Job{Source: strings.NewReader("x")}, patience, true); tr != nil {
		t.Error("StartNow dialed for a job that must be run by Run")
	}
}

// Anything other than a small *os.File is sent in the usual way, with the same bytes.
func TestNotQuick(t *testing.T) {
	slow := []*rate.Limiter{nil, NewRate(1 << 40)}
	data := random(3000)
	for name, job := range map[string]Job{
		"rates":      {Source: tempFile(t, data), Type: ftp.Image, Size: 3000, Rates: slow},
		"wrapped":    {Source: struct{ io.Reader }{tempFile(t, data)}, Type: ftp.Image, Size: 3000},
		"text":       {Source: tempFile(t, []byte("a\nb\n")), Type: ftp.ASCII, Size: 4},
		"large":      {Source: tempFile(t, random(minChunk+1)), Type: ftp.Image, Size: minChunk + 1},
		"must reset": {Source: tempFile(t, data), Type: ftp.Image, Size: 3000, Reset: true},
	} {
		tr, c, _ := started(t, job)
		if tr.sock.open {
			t.Errorf("%s: quick", name)
		}
		if res, over := tr.Quick(patience); over {
			t.Errorf("%s: ended at once: %+v", name, res)
		}
		want := data
		switch name {
		case "text":
			want = []byte("a\r\nb\r\n")
		case "large":
			want = random(minChunk + 1)
		}
		got := make(chan []byte, 1)
		go func() { b, _ := io.ReadAll(c); got <- b }()
		if res := tr.Run(context.Background()); res.Err != nil || res.Bytes != int64(len(want)) {
			t.Errorf("%s: %+v", name, res)
		}
		if b := <-got; !bytes.Equal(b, want) {
			t.Errorf("%s: received %d bytes, want %d equal ones", name, len(b), len(want))
		}
	}
	if tr, _, _ := started(t, Job{Source: tempFile(t, data), Type: ftp.Image, Size: 1, Rates: []*rate.Limiter{nil, nil}}); !tr.sock.open {
		t.Error("not quick with limiters that do not limit")
	} else {
		tr.Quick(patience)
	}
}

// A file that sendfile cannot read is sent in the usual way.
func TestQuickFromAPipe(t *testing.T) {
	noLeaks(t)
	r, w, err := os.Pipe()
	check(t, err)
	defer r.Close()
	_, err = io.WriteString(w, "through a pipe")
	check(t, err)
	check(t, w.Close())
	tr, c, _ := started(t, Job{Source: r, Type: ftp.Image})
	res, over := tr.Quick(patience)
	if !over {
		res = tr.Run(context.Background())
	}
	if res.Err != nil || res.Bytes != 14 {
		t.Errorf("%+v", res)
	}
	wantBytes(t, c, []byte("through a pipe"))
}

func TestQuickErrors(t *testing.T) {
	closed := tempFile(t, []byte("x"))
	check(t, closed.Close())
	writeOnly, err := os.OpenFile(filepath.Join(t.TempDir(), "w"), os.O_WRONLY|os.O_CREATE, 0o600)
	check(t, err)
	defer writeOnly.Close()
	for name, f := range map[string]*os.File{"closed": closed, "write only": writeOnly} {
		tr, c, _ := started(t, Job{Source: f, Type: ftp.Image, Size: 1})
		res, over := tr.Quick(patience)
		var local *LocalError
		if !over || !errors.As(res.Err, &local) || res.Bytes != 0 {
			t.Errorf("%s: %+v, over %v; want a *LocalError", name, res, over)
		}
		hungUp(t, c)
	}
}

// The peer connects and resets the connection before the file is sent.
func TestQuickReset(t *testing.T) {
	m, _ := manage(t, &Config{Side: ftp.ServerPI})
	o, addr := listening(t, m)
	c := call(t, home, addr)
	tr := o.StartNow(Job{Source: tempFile(t, []byte("x")), Type: ftp.Image, Size: 1}, patience, true)
	check(t, c.SetLinger(0))
	check(t, c.Close())
	res, over := tr.Quick(patience)
	var broken *BrokenError
	if !over || !errors.As(res.Err, &broken) || res.Bytes != 0 {
		t.Errorf("%+v, over %v; want a *BrokenError", res, over)
	}
	if text := fmt.Sprint(res.Err); strings.Contains(text, "127.0.0.1") {
		t.Errorf("%q contains addresses", text)
	}
}

// The address of a descriptor has a zone, like that of a net.Conn. Otherwise the quick path would mistake a
// client with a link-local address for a stranger.
func TestSockaddrHasTheZone(t *testing.T) {
	lo, err := net.InterfaceByIndex(1)
	check(t, err)
	fe80 := netip.MustParseAddr("fe80::1")
	for sa, want := range map[syscall.Sockaddr]string{
		&syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 21}:                       "127.0.0.1:21",
		&syscall.SockaddrInet6{Addr: netip.MustParseAddr("::ffff:1.2.3.4").As16(), Port: 1}: "1.2.3.4:1",
		&syscall.SockaddrInet6{Addr: netip.MustParseAddr("2001:db8::1").As16(), Port: 2}:    "[2001:db8::1]:2",
		&syscall.SockaddrInet6{Addr: fe80.As16(), Port: 3, ZoneId: 1}:                       "[fe80::1%" + lo.Name + "]:3",
		&syscall.SockaddrInet6{Addr: fe80.As16(), Port: 4, ZoneId: 1 << 30}:                 "[fe80::1%1073741824]:4",
	} {
		if got := sockaddr(sa); got.String() != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// A small file is sent at once to a client with a link-local address. The test needs a machine
// that has such an address.
func TestQuickToLinkLocal(t *testing.T) {
	local := linkLocal(t)
	noLeaks(t)
	e := &events{}
	m := NewManager(&Config{Side: ftp.ServerPI, Timeout: patience}, netip.AddrPortFrom(local, 2121), netip.AddrPortFrom(local, 40000), e.observe)
	t.Cleanup(m.Close)
	o, addr := listening(t, m)
	c := call(t, local, addr)
	tr := o.StartNow(Job{Source: tempFile(t, []byte("hello")), Type: ftp.Image, Size: 5}, patience, true)
	if tr == nil || !tr.sock.open {
		t.Fatalf("the quick path was not taken: %+v; strangers %v", tr, emitted[ftp.StrangerRefused](e))
	}
	if res, over := tr.Quick(patience); !over || res.Err != nil {
		t.Errorf("%+v, over %v", res, over)
	}
	wantBytes(t, c, []byte("hello"))
}

func linkLocal(t *testing.T) netip.Addr {
	t.Helper()
	all, err := net.Interfaces()
	check(t, err)
	for _, i := range all {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok || i.Flags&net.FlagUp == 0 {
				continue
			}
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Is6() && ip.IsLinkLocalUnicast() {
				return ip.WithZone(i.Name)
			}
		}
	}
	t.Skip("no IPv6 link-local address here")
	return netip.Addr{}
}
