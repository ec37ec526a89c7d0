package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const supported = true

// sendTime limits the sending of a message, which waits while the queue of the socket is full.
const sendTime = 2 * time.Second

// send sends one message. It opens a socket each time: the socket at address may be another one since the last message.
func send(address, message string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: address})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetWriteDeadline(time.Now().Add(sendTime)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(message))
	return err
}

// monotonic returns the time of the clock by which systemd tells a reload from an earlier one, in microseconds. Go's
// monotonic clock is the same, but package time does not show it.
func monotonic() string {
	var at unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &at) // fails only for unknown clocks
	return strconv.FormatInt(at.Nano()/1000, 10)
}

const (
	firstSocket = 3 // SD_LISTEN_FDS_START
	maxSockets  = 64
)

// Sockets takes over the sockets that systemd listens on for this process, in the order of the unit, and removes their
// variables from the environment. It returns nil if there are none, and an error if one is not a listening TCP socket.
func Sockets() (all []Socket, err error) {
	pid, count, names := take("LISTEN_PID"), take("LISTEN_FDS"), take("LISTEN_FDNAMES")
	if pid != strconv.Itoa(os.Getpid()) || count == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxSockets {
		return nil, fmt.Errorf("LISTEN_FDS=%q: must be a number up to %d", count, maxSockets)
	}
	name := append(strings.Split(names, ":"), make([]string, n)...)[:n]
	for i := range n { // before any is closed: a wrong number could name descriptors of the runtime
		if err := listens(firstSocket + i); err != nil {
			return nil, fmt.Errorf("socket %d of systemd (%q): %w", i+1, name[i], err)
		}
		unix.CloseOnExec(firstSocket + i)
	}
	for i := range n {
		f := os.NewFile(uintptr(firstSocket+i), name[i])
		l, failed := net.FileListener(f) // a copy
		_ = f.Close()
		if failed != nil {
			err = fmt.Errorf("socket %d of systemd (%q): %w", i+1, name[i], failed)
			continue
		}
		all = append(all, Socket{name[i], l})
	}
	if err != nil {
		for _, s := range all {
			_ = s.Close()
		}
		return nil, err
	}
	return all, nil
}

// listens returns an error unless fd is a listening TCP socket.
func listens(fd int) error {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return errors.New("is not a socket")
	}
	kind, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	accepts, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case family == unix.AF_UNIX:
		return errors.New("is a unix socket, but FTP needs TCP: write ListenStream= with a port")
	case family != unix.AF_INET && family != unix.AF_INET6:
		return errors.New("is not a TCP socket: write ListenStream= with a port")
	case kind != unix.SOCK_STREAM:
		return errors.New("is not a TCP socket: write ListenStream=, not ListenDatagram=")
	case accepts == 0:
		return errors.New("is a connection, not a listening socket: write Accept=no")
	}
	return nil
}

// Waiting returns how many connections wait to be accepted from l.
func Waiting(l *net.TCPListener) (n int, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return 0, err
	}
	var info *unix.TCPInfo
	if control := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); control != nil {
		return 0, control
	}
	if err != nil {
		return 0, err
	}
	return int(info.Unacked), nil // for a listening socket, the length of its queue
}
