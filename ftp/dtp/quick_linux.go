package dtp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"miniftp/ftp"
)

// A small file on a passive data connection whose peer has called already needs
// four system calls: accept, sendfile, close, and one to look that nobody else
// waits. Taking the socket into the runtime's poller first would double that, so
// it stays a bare descriptor unless it turns out that there is something to wait for.

// startQuick begins such a Job; nil means that the usual way must be gone.
func (o *Opener) startQuick(job Job) *Transfer {
	t := &Transfer{pump: newPump(job, nil)}
	if o.tls != nil || !smallFile(&job) {
		return nil
	}
	raw, err := o.ln.SyscallConn()
	if err != nil {
		return nil
	}
	start := time.Now()
	found := false
	err = raw.Control(func(fd uintptr) {
		for {
			nfd, sa, err := syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if err != nil {
				return
			}
			remote := sockaddr(sa)
			if o.guard.mayAccept(remote, o.m.peer) {
				t.fd, t.remote, found = nfd, remote, true
				return
			}
			_ = syscall.Close(nfd)
			o.m.tell(ftp.StrangerRefused{Remote: remote})
		}
	})
	if err != nil || !found {
		return nil
	}
	t.quick, o.called = true, true
	o.giveBack()
	if o.m.observe != nil {
		o.m.tell(ftp.DataOpened{Mode: o.Mode(), Stance: o.stance, Local: o.addr, Remote: t.remote, Took: time.Since(start)})
	}
	return t
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

// sendQuick sends the file as far as the socket takes it at once. False means
// that there is more: the socket is an ordinary connection then.
func (t *Transfer) sendQuick() (Result, bool) {
	done, err := t.sendfile()
	if !done && err == nil {
		if err = t.adopt(); err == nil {
			return Result{}, false
		}
	}
	if t.quick {
		if closeErr := syscall.Close(t.fd); err == nil {
			err = closeErr
		}
		t.quick = false
	}
	return Result{Bytes: t.pump.moved, Opened: true, Began: t.pump.start, Took: time.Since(t.pump.start), Err: failed(err)}, true
}

func (t *Transfer) sendfile() (done bool, err error) {
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
			n, e := syscall.Sendfile(t.fd, int(fd), nil, int(size-t.pump.moved))
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

// adopt makes an ordinary connection of the descriptor, and closes it.
func (t *Transfer) adopt() error {
	f := os.NewFile(uintptr(t.fd), "data connection")
	conn, err := net.FileConn(f)
	_ = f.Close()
	t.quick = false
	t.pump.conn = conn
	return err
}
