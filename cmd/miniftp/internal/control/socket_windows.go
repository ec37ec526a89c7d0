package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/windows"
)

// isSocket reports true for all but directories: Windows shows sockets as reparse points or as irregular files.
func isSocket(fi fs.FileInfo) bool { return !fi.IsDir() && !fi.Mode().IsRegular() }

func isRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

// listenPrivate makes a socket, in place of one that may be there. Who may use it is decided by the access control list
// that it inherits from its directory, which is in the profile of the user by default.
func listenPrivate(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // socket.remove removes it
	return l, nil
}
