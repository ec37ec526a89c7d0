//go:build unix

package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func isSocket(fi fs.FileInfo) bool { return fi.Mode()&fs.ModeSocket != 0 }

func isRefused(err error) bool { return errors.Is(err, unix.ECONNREFUSED) }

// listenPrivate makes a socket with mode 0600, in place of one that may be there. Between bind and chmod a socket has the
// mode that the umask gives it, so it is made in a directory that nobody else can enter, and then renamed.
func listenPrivate(path string) (net.Listener, error) {
	errLong := errors.New("the path is too long for a socket")
	if len(path) >= len(unix.RawSockaddrUnix{}.Path) { // clients could not name it
		return nil, errLong
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	name := filepath.Join(dir, "s")
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", name)
	if errors.Is(err, unix.EINVAL) {
		return nil, errLong
	}
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its name changes
	if err = os.Chmod(name, 0o600); err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}
