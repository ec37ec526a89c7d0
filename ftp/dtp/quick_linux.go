package dtp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"miniftp/ftp"
)

// A small file on a passive data connection needs four system calls if the peer has connected already: accept,
// sendfile, close, and an accept that finds the backlog empty. An upload needs one more to wait for its bytes,
// and an active data connection needs those that connect to the peer. Registering the socket with the runtime's
// poller would double their number.

// startQuick opens the data connection as a bare descriptor. It returns nil if that is not possible at once.
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

// acceptNow accepts the peer's connection if it is in the backlog.
func (o *Opener) acceptNow() (sock socket) {
	if o.m.cfg.Sender != nil { // it needs a connection that can wait
		return socket{}
	}
	if o.ln.isShared() {
		if c, ok := o.nextArrival(); ok {
			sock = socket{open: true, fd: c.fd, remote: c.remote}
		}
		return sock
	}
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
			if o.guard.mayAccept(o.addr, remote, o.m.peer) {
				o.accepted = true
				sock = socket{open: true, fd: nfd, remote: remote}
				return
			}
			_ = syscall.Close(nfd)
			o.m.emit(ftp.StrangerRefused{Remote: remote})
		}
	})
	return sock
}

// dialNow dials the peer. If the peer does not answer within patience, the socket is left in o.dialing, and Open
// waits for the answer.
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
		if answer = poll(fd, unix.POLLOUT, patience); answer == 0 {
			o.dialing = os.NewFile(uintptr(fd), "data connection")
			return socket{}, netip.AddrPort{}
		}
		err = nil
	}
	if err == nil && answer == unix.POLLOUT { // without POLLERR or POLLHUP
		if local := sockname(fd); local != o.addr { // else TCP has connected the socket to itself: nobody listens there
			return sock, local
		}
	}
	_ = sock.close()
	return socket{}, netip.AddrPort{}
}

// answered waits until the socket that dialNow has begun to connect is connected.
func (o *Opener) answered(ctx context.Context) (net.Conn, error) {
	f := o.dialing
	o.dialing = nil
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
		if err == nil && sockname(int(fd)) == o.addr { // TCP has connected the socket to itself
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

// address returns a in the form of the system calls, or nil if it has a zone.
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

// waiting is the number of goroutines in poll.
var waiting atomic.Int32

// poll waits for events in a system call, for at most patience and at most pollTime. For a peer that is near that
// costs less than the runtime's poller. During the wait other goroutines lack a processor, so at most half of the
// processors may wait here; if they do, poll only looks. It returns the events, or 0.
func poll(fd int, events int16, patience time.Duration) int16 {
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

// quickDownload sends as much of the file as the socket takes at once.
func (t *Started) quickDownload() (Result, bool) {
	done, err := t.sendfile()
	if !done && err == nil {
		return t.leaveRest()
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
		size = minChunk // the size is not known: Run sends the rest, if any
	}
	controlErr := raw.Control(func(fd uintptr) {
		for t.pump.moved < size {
			n, e := syscall.Sendfile(t.sock.fd, int(fd), nil, int(size-t.pump.moved))
			switch {
			case errors.Is(e, syscall.EINTR):
			case errors.Is(e, syscall.EAGAIN):
				return
			case errors.Is(e, syscall.EINVAL), errors.Is(e, syscall.EOPNOTSUPP), errors.Is(e, syscall.ENOSYS):
				return // sendfile can't read this file; Run copies it
			case e != nil:
				err = os.NewSyscallError("sendfile", e)
				return
			case n == 0: // the file has become shorter
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

// receive reads what has arrived, or arrives within patience. If nothing does, the error is
// os.ErrDeadlineExceeded.
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
		case poll(s.fd, unix.POLLIN, patience) == 0:
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// adopt turns the descriptor into a connection of package net.
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

// waitFor is receive with the runtime's poller, since the other transfers of a client need the processor that
// a system call would hold. All calls for one socket together wait for at most patience.
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

// reset makes close send a TCP reset.
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
