package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
)

// socket is a listener on a unix socket that only its owner can use.
type socket struct {
	net.Listener
	path string
	made fs.FileInfo // recognizes the socket
}

// listen makes a socket. It replaces a socket that no server answers on, but not one that is in use.
func listen(path string) (*socket, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, verb.LocalProblem(path, err)
	}
	switch fi, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, verb.LocalProblem(path, err)
	case !isSocket(fi):
		return nil, verb.LocalProblem(path, errors.New("exists and is not a socket"))
	case answers(path):
		return nil, verb.LocalProblem(path, errInUse)
	}
	l, err := listenPrivate(path)
	if err != nil {
		return nil, verb.LocalProblem(path, err)
	}
	s := &socket{Listener: l, path: path}
	s.made, _ = os.Lstat(path)
	return s, nil
}

// remove removes the socket, unless another one has taken its place.
func (s *socket) remove() {
	if now, err := os.Lstat(s.path); err == nil && s.made != nil && os.SameFile(now, s.made) {
		_ = os.Remove(s.path)
	}
}

// answers reports whether a server accepts connections on a socket. If that can't be found out, it counts as one.
func answers(path string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "unix", path)
	if err == nil {
		_ = conn.Close()
		return true
	}
	return !isRefused(err) && !errors.Is(err, fs.ErrNotExist)
}

// suffix ends the names of sockets.
const suffix = ".sock"

// services is the directory of the sockets of services, if their unit has RuntimeDirectory=miniftp.
const services = "/run/miniftp"

// directories returns the directories in which sockets are by default, the first one for new sockets. It is an error if
// there is none.
func directories() (all []string, err error) {
	if dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); filepath.IsAbs(dir) { // set by systemd
		all = append(all, dir)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		all = append(all, filepath.Join(dir, "miniftp"))
	}
	dir, err := local.StateDir()
	if err == nil {
		all = append(all, filepath.Join(dir, "control"))
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, err
}

// DefaultPath returns the path of the socket for a server whose first address is addr, and makes its directory.
func DefaultPath(addr net.Addr) (string, error) {
	dirs, err := directories()
	if err != nil {
		return "", err
	}
	dir := dirs[0]
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", verb.LocalProblem(dir, err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return "", verb.LocalProblem(dir, err)
	}
	return filepath.Join(dir, fileName(addr)+suffix), nil
}

// fileName returns an address as a file name: 127.0.0.1_2121, or _2121 if it is for all addresses.
func fileName(addr net.Addr) string {
	return strings.NewReplacer(":", "_", "[", "", "]", "", "%", "_", "/", "_").Replace(shortAddr(addr))
}

// shortAddr returns an address to listen on, without the host if it is for all addresses.
func shortAddr(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ap.Addr().IsUnspecified() {
		_, port, _ := net.SplitHostPort(addr.String())
		return ":" + port
	}
	return ap.String()
}

// NodeName returns the name of a server among others: the host's name, and the first address that it listens on.
func NodeName(addr net.Addr) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	at := shortAddr(addr)
	if strings.HasPrefix(at, ":") {
		return host + at
	}
	return host + "-" + at
}

// Find returns the sockets of running servers in the default directories.
func Find() (paths []string, err error) {
	dirs, err := directories()
	if err != nil {
		return nil, err
	}
	for _, dir := range append(dirs, services) {
		names, err := filepath.Glob(filepath.Join(globEscape(dir), "*"+suffix))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if answers(name) {
				paths = append(paths, name)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// globEscape escapes the characters that mean something to package filepath's patterns.
func globEscape(dir string) string {
	if os.PathSeparator == '\\' {
		return dir // patterns have no escapes there
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
