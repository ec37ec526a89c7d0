package dtp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"miniftp/ftp"
)

// A small file on a passive data connection whose peer has called already needs four system
// calls: accept, sendfile, close, and one to look that nobody else waits. An upload needs one more
// to wait for its bytes, and an active data connection those that call the peer. Taking the socket
// into the runtime's poller would double that.

// startQuick makes the data connection; nil means that the usual way must be gone.
func (o *Opener) startQuick(job Job, patience time.Duration) *Started {
	start := time.Now()
	var sock socket
	var local netip.AddrPort
	if o.stance == ftp.Listens {
		sock, local = o.acceptNow(), o.addr
	} else {
		sock, local = o.dialNow(patience)
	}
	if !sock.open {
		return nil
	}
	o.giveBack()
	if o.m.observe != nil {
		o.m.emit(ftp.DataOpened{Mode: o.Mode(), Stance: o.stance, Local: local, Remote: sock.remote, Took: time.Since(start)})
	}
	return &Started{pump: newPump(job, nil), sock: sock}
}

// acceptNow takes the peer's call, if it waits.
func (o *Opener) acceptNow() (sock socket) {
	raw, err := o.ln.SyscallConn()
	if err != nil {
		return socket{}
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			nfd, sa, err := syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			remote := sockaddr(sa)
			if o.guard.mayAccept(remote, o.m.peer) {
				o.called = true
				sock = socket{open: true, fd: nfd, remote: remote}
				return
			}
			_ = syscall.Close(nfd)
			o.m.emit(ftp.StrangerRefused{Remote: remote})
		}
	})
	return sock
}

// dialNow calls the peer. A call that is not answered within patience is left to Open, which goes
// on waiting for the answer.
func (o *Opener) dialNow(patience time.Duration) (socket, netip.AddrPort) {
	from := o.from()
	family, to := address(o.addr)
	if o.m.cfg.Dial != nil || to == nil {
		return socket{}, netip.AddrPort{}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return socket{}, netip.AddrPort{}
	}
	sock := socket{open: true, fd: fd, remote: o.addr}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
	if from.IsValid() {
		_, sa := address(from)
		if sa == nil || syscall.Bind(fd, sa) != nil {
			_ = sock.close()
			return socket{}, netip.AddrPort{}
		}
	}
	answer := int16(unix.POLLOUT)
	if err = syscall.Connect(fd, to); errors.Is(err, syscall.EINPROGRESS) {
		if answer = await(fd, unix.POLLOUT, patience); answer == 0 {
			o.calling = os.NewFile(uintptr(fd), "data connection")
			return socket{}, netip.AddrPort{}
		}
		err = nil
	}
	if err == nil && answer == unix.POLLOUT { // else an error came with it
		if local := sockname(fd); local != o.addr { // it called itself: nobody listens there
			return sock, local
		}
	}
	_ = sock.close()
	return socket{}, netip.AddrPort{}
}

// answered waits for the answer to a call that dialNow began.
func (o *Opener) answered(ctx context.Context) (net.Conn, error) {
	f := o.calling
	o.calling = nil
	defer f.Close()
	defer context.AfterFunc(ctx, func() { _ = f.SetDeadline(past) })()
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var refused syscall.Errno
	err = raw.Write(func(fd uintptr) (over bool) {
		if n, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR); err == nil && n != 0 {
			refused = syscall.Errno(n)
			return true
		}
		_, err := syscall.Getpeername(int(fd))
		if err == nil && sockname(int(fd)) == o.addr { // it called itself: nobody listens there
			refused = syscall.ECONNREFUSED
		}
		return err == nil
	})
	switch {
	case err != nil:
		return nil, err
	case refused != 0:
		return nil, os.NewSyscallError("connect", refused)
	}
	return net.FileConn(f)
}

// address is a as the system takes it; nil if it has a zone.
func address(a netip.AddrPort) (family int, sa syscall.Sockaddr) {
	switch ip := a.Addr(); {
	case ip.Is4():
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	case ip.Is6() && ip.Zone() == "":
		return syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
	}
	return 0, nil
}

func sockname(fd int) netip.AddrPort {
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return sockaddr(sa)
}

// waiting is how many goroutines are in await.
var waiting atomic.Int32

// await waits in a system call, for at most patience and pollTime, which for a peer that is near
// costs less than the runtime's poller. As it takes a processor from the other goroutines, few may do
// so at once. It returns the events that came; 0: none.
func await(fd int, events int16, patience time.Duration) int16 {
	defer waiting.Add(-1)
	if int(waiting.Add(1)) > runtime.GOMAXPROCS(0)/2 {
		patience = 0
	}
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
	limit := unix.NsecToTimespec(int64(min(patience, pollTime)))
	if _, err := unix.Ppoll(fds[:], &limit, nil); err != nil {
		return 0
	}
	return fds[0].Revents
}

// sockaddr is sa as AddrPort reads it from a net.Addr: with the zone of a link-local
// address, which tells the neighbors of one interface from those of another.
func sockaddr(sa syscall.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *syscall.SockaddrInet4:
		return AddrPort(&net.TCPAddr{IP: a.Addr[:], Port: a.Port})
	case *syscall.SockaddrInet6:
		return AddrPort(&net.TCPAddr{IP: a.Addr[:], Port: a.Port, Zone: zone(a.ZoneId)})
	}
	return netip.AddrPort{}
}

// zone is what package net calls the zone with that index.
func zone(index uint32) string {
	if index == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(index)); err == nil {
		return i.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}

// quickDownload sends the file as far as the socket takes it at once.
func (t *Started) quickDownload() (Result, bool) {
	done, err := t.sendfile()
	if !done && err == nil {
		return t.goesOn()
	}
	return t.ended(failed(err)), true
}

func (t *Started) sendfile() (done bool, err error) {
	file, _ := t.pump.job.Source.(*os.File)
	raw, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	size := t.pump.job.Size
	if size == 0 {
		size = minChunk // until the end: Run looks whether there is more
	}
	controlErr := raw.Control(func(fd uintptr) {
		for t.pump.moved < size {
			n, e := syscall.Sendfile(t.sock.fd, int(fd), nil, int(size-t.pump.moved))
			switch {
			case errors.Is(e, syscall.EINTR):
			case errors.Is(e, syscall.EAGAIN):
				return
			case errors.Is(e, syscall.EINVAL), errors.Is(e, syscall.EOPNOTSUPP), errors.Is(e, syscall.ENOSYS):
				return // sendfile can't read this file: Run can
			case e != nil:
				err = os.NewSyscallError("sendfile", e)
				return
			case n == 0: // the file became shorter
				done = true
				return
			default:
				t.pump.count(int64(n))
			}
		}
		done = t.pump.job.Size > 0
	})
	if err == nil {
		err = controlErr
	}
	return done, err
}

// receive reads what has come, or comes within patience; else the error is os.ErrDeadlineExceeded.
func (s *socket) receive(b []byte, patience time.Duration) (int, error) {
	for {
		n, err := syscall.Read(s.fd, b)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.EOF
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EAGAIN):
			return 0, os.NewSyscallError("read", err)
		case await(s.fd, unix.POLLIN, patience) == 0:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// adopt makes an ordinary connection of the descriptor, and closes it.
func (t *Started) adopt() error {
	f := t.sock.file
	if f == nil {
		f = os.NewFile(uintptr(t.sock.fd), "data connection")
	}
	conn, err := net.FileConn(f)
	_ = f.Close()
	t.sock.open = false
	t.pump.conn = conn
	return err
}

// waitFor is receive that waits in the runtime's poller: a client's other transfers need the
// processor that a system call would hold. All calls together wait for at most patience.
func (s *socket) waitFor(b []byte, patience time.Duration) (int, error) {
	if s.file == nil {
		n, err := s.receive(b, 0)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		s.file = os.NewFile(uintptr(s.fd), "data connection")
		if err := s.file.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return 0, err
		}
	}
	return s.file.Read(b)
}

// reset has close end the connection in a reset.
func (s *socket) reset() {
	_ = syscall.SetsockoptLinger(s.fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
}

func (s *socket) close() error {
	s.open = false
	if s.file != nil {
		return s.file.Close()
	}
	return syscall.Close(s.fd)
}
