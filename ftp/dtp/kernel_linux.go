package dtp

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// kernelSender sends a file with sendfile, taking turns with other transfers. Package net uses sendfile
// too, but without turns.
type kernelSender struct {
	dst, src syscall.RawConn
}

// newKernelSender returns nil if sendfile can't be used for src and conn.
func newKernelSender(conn net.Conn, src io.Reader) *kernelSender {
	tcp, isTCP := conn.(*net.TCPConn)
	file, isFile := src.(*os.File)
	if !isTCP || !isFile {
		return nil
	}
	to, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	from, err := file.SyscallConn()
	if err != nil {
		return nil
	}
	return &kernelSender{to, from}
}

// errNoSendfile is returned if the kernel can't send this file; then nothing was sent.
var errNoSendfile = errors.New("sendfile can't read this file")

// send sends n bytes. If the file has fewer, the error is io.EOF, as with io.CopyN.
func (k *kernelSender) send(n int64) (sent int64, err error) {
	var failure error
	err = k.dst.Write(func(to uintptr) (over bool) {
		sending.take()
		defer sending.give()
		over = true
		controlErr := k.src.Control(func(from uintptr) {
			for sent < n && over && failure == nil {
				m, e := syscall.Sendfile(int(to), int(from), nil, int(n-sent))
				switch {
				case errors.Is(e, syscall.EINTR):
				case errors.Is(e, syscall.EAGAIN):
					over = false // the socket is full
				case errors.Is(e, syscall.EINVAL), errors.Is(e, syscall.EOPNOTSUPP), errors.Is(e, syscall.ENOSYS):
					failure = errNoSendfile
				case e != nil:
					failure = &net.OpError{Op: "write", Err: os.NewSyscallError("sendfile", e)}
				case m == 0:
					failure = io.EOF
				default:
					sent += int64(m)
				}
			}
		})
		if controlErr != nil {
			failure = controlErr
		}
		return over
	})
	if failure != nil {
		err = failure
	}
	return sent, err
}
