// Package callout runs the programs, and reaches the web services, that an administrator names: the sources of logins
// (package authn), the checks of uploads (package gate) and the receivers of events (package outbox).
package callout

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"miniftp/ftp"
)

// CheckProgram returns an error if path is not the whole path of a program that can be run.
func CheckProgram(path string) error {
	if !filepath.IsAbs(path) {
		return errors.New("write the whole path of the program: exec:/PATH/OF/PROGRAM")
	}
	_, err := exec.LookPath(path)
	if inner, ok := errors.AsType[*exec.Error](err); ok {
		err = inner.Err
	}
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	if err != nil {
		return fmt.Errorf("can't be run: %w", err)
	}
	return nil
}

// Command returns a command for a program without arguments. It runs in the top directory, with the variables and otherwise
// only PATH and LANG. Run runs it.
func Command(ctx context.Context, path string, variables [][2]string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path)
	cmd.Dir = filepath.VolumeName(path) + string(filepath.Separator)
	cmd.Env = append(systemEnv(), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8")
	for _, v := range variables {
		if v[1] != "" && !strings.Contains(v[1], "\x00") {
			cmd.Env = append(cmd.Env, v[0]+"="+v[1])
		}
	}
	cmd.WaitDelay = outputTime
	return cmd
}

// outputTime is how long the output is read after a program has ended: another process may still have it open.
const outputTime = time.Second

// Run runs a program in a process group of its own. When the context of cmd ends, all processes of the group are killed;
// on Windows, only the program is. With alone, those that the program has left in the background are also killed when it
// ends by itself. The program inherits no descriptor.
func Run(cmd *exec.Cmd, alone bool) error {
	once.Do(inheritNothing)
	return runGroup(cmd, alone)
}

var once sync.Once

// ParseURL returns the URL of a web service: https://HOST/PATH or, on this machine, http://.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("not a URL: write https://HOST/PATH")
	case u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("write https://HOST/PATH, without a user and a fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("http:// is accepted for this machine only: use https")
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Client returns a client for a web service. It follows no redirection. t may be changed before it is used.
func Client(u *url.URL) (client *http.Client, t *http.Transport) {
	t = &http.Transport{
		DisableCompression: true, MaxResponseHeaderBytes: 16 << 10, TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if u.Scheme == "http" {
		t.DialContext = dialLoopback
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, t
}

// dialLoopback dials only addresses of this machine, whatever localhost resolves to.
func dialLoopback(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		_ = conn.Close()
		return nil, fmt.Errorf("%s is not on this machine", addr)
	}
	return conn, nil
}

// Plain returns an error of a request without the URL, which may be a secret.
func Plain(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return errors.New(ftp.Printable(err.Error()))
}
