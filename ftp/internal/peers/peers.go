// Package peers starts the stock FTP servers that tests and benchmarks run
// miniftp's client against, and finds the stock clients that are run against
// miniftp's server. The script .ci/peers installs them.
//
// A peer that is missing skips the test, unless MINIFTP_REQUIRE_PEERS is 1: then
// the test fails. With -short all tests with peers are skipped.
package peers

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/ftp/internal/testutil"
)

// Server is a running stock server. It allows all that it can do to the one user
// it knows, and ends with the test that started it.
type Server struct {
	Name     string // as in Names
	Addr     string // host:port of the control connection
	User     string
	Password string
	// Root is the host directory in which a login starts. The user sees it as "/",
	// but under vsftpd (which can not hide it without PAM) by its host path.
	Root string
	PID  int // the process that listens; sessions are its children or within it
	// Certs are what it shows and what to trust it by; nil if TLS is Off.
	Certs *Certs
}

// Options say how a server is started; the zero value is IPv4, writable, no TLS. Not every server can do all of TLS: see Can.
type Options struct {
	IPv6         bool   // listen on ::1 instead of 127.0.0.1
	Deflate      bool   // MODE Z, which of them only proftpd has
	ReadOnly     bool   // refuse every change
	PassivePorts string // "first-last"; empty: some that are reserved for this server
	FXP          bool   // take part in copies from server to server
	PerHost      int    // sessions that one host may have at once; 0: as many as it likes

	TLS          TLSMode
	TLSVersion   uint16 // tls.VersionTLS12 or tls.VersionTLS13 and no other; 0: both
	RequireReuse bool   // refuse a data connection that does not resume the control connection's session
	Certs        *Certs // what to show; nil: certificates made for it

	PublicIP string // the IPv4 address to tell in 227 replies; empty: the one that was called
}

const (
	user     = "user"
	password = "secret"
	// secretHash is crypt(3) of password, by SHA-512.
	secretHash = "$6$miniftp$03AK5DCYdrFc7pFxYz26CtAC5DaYTpLKOkfgasIoHqU9.pvyFa7.qfa2mY1dYmmpah8qtSfPeM7DyEceJmkN//"

	startTimeout = 20 * time.Second
)

// Names lists the servers that Start knows, but FTPSrv.
func Names() []string {
	var names []string
	for _, k := range kinds {
		if !k.narrow {
			names = append(names, k.name)
		}
	}
	return names
}

// Start starts a server on a free loopback port, waits for its greeting and stops
// it when the test ends. The host directory root is where its user starts. Options
// that the server Can not do fail the test.
//
// pure-ftpd refuses uid 0: run by root it gets root and all in it handed to the
// user nobody, unless ReadOnly, and what a test puts there later it can read,
// rename and delete but not overwrite.
func Start(tb testing.TB, name string, root string, opts Options) *Server {
	tb.Helper()
	for _, k := range kinds {
		if k.name != name {
			continue
		}
		if !k.can(opts) {
			tb.Fatalf("peers: %s can not do %+v", name, opts)
		}
		return k.start(tb, root, opts)
	}
	tb.Fatalf("peers: no server is called %q", name)
	return nil
}

// Client returns the path of a stock client: curl, lftp, wget, tnftp, ncftpget,
// ncftpput, openssl, gnutls-cli or python3.
func Client(tb testing.TB, name string) string {
	tb.Helper()
	testutil.Long(tb)
	path := ""
	if name == "python3" {
		path = python()
	} else {
		path = find(name)
	}
	if path == "" {
		missing(tb, name)
	}
	return path
}

func missing(tb testing.TB, name string) {
	tb.Helper()
	if os.Getenv("MINIFTP_REQUIRE_PEERS") == "1" {
		tb.Fatalf("%s is missing or can not run here; .ci/peers, run as root, installs it", name)
	}
	tb.Skipf("%s is missing or can not run here; .ci/peers, run as root, installs it", name)
}

// find looks where .ci/peers unpacks, then where programs are.
func find(name string) string {
	for _, dir := range []string{unpacked() + "/usr/sbin", unpacked() + "/usr/bin", "", "/usr/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

// unpacked is the directory into which .ci/peers unpacks.
func unpacked() string {
	if dir := os.Getenv("MINIFTP_PEERS"); dir != "" {
		return dir
	}
	return "/opt/miniftp-peers"
}

// modules is the directory of the packages for node.
func modules() string { return unpacked() + "/node/node_modules" }

// python finds the Python that has pyftpdlib; the system's own is asked first,
// since the first in PATH may be another.
var python = sync.OnceValue(func() string {
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.Command(path, "-c", "import pyftpdlib").Run() == nil {
			return path
		}
	}
	return ""
})

// start tries a few ports, for a program that is no test may take the one just found free.
func (k kind) start(tb testing.TB, root string, opts Options) *Server {
	tb.Helper()
	testutil.Long(tb)
	binary := k.find(opts)
	if binary == "" || !canRun {
		missing(tb, k.name)
	}
	at := site{binary: binary, root: root, dir: tb.TempDir(), opts: opts, host: "127.0.0.1"}
	if opts.IPv6 {
		at.host = "::1"
	}
	if opts.TLS != Off {
		if at.certs = opts.Certs; at.certs == nil {
			at.certs = NewCerts(tb)
		}
	}
	if opts.PassivePorts == "" {
		first := testutil.FreePorts(tb, dataPorts)
		at.opts.PassivePorts = fmt.Sprintf("%d-%d", first, first+dataPorts-1)
	}
	var err error
	for range 5 {
		at.port = int(testutil.FreePorts(tb, 1))
		var argv []string
		if argv, err = k.prepare(at); err != nil {
			break
		}
		var pid int
		if pid, err = run(tb, at, argv); err == nil {
			return &Server{
				Name: k.name, Addr: at.addr(), Root: root, PID: pid,
				User: k.user, Password: password, Certs: at.certs,
			}
		}
		if !errors.Is(err, errExited) {
			break
		}
	}
	tb.Fatalf("%s did not start: %v\n%s", k.name, err, at.output())
	return nil
}

// dataPorts is how many passive ports a server gets. If it took them from those of the
// system, a program that calls a server of another test, which has ended, could reach this
// one's data port first, and its client would be reset.
const dataPorts = 64

// site is where and how one server runs.
type site struct {
	binary, root string
	dir          string // for its configuration and what it writes
	host         string
	port         int
	opts         Options
	certs        *Certs // nil if TLS is Off
}

func (s site) addr() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

func (s site) path(name string) string { return filepath.Join(s.dir, name) }

// write puts a file that only we may read, as proftpd demands for passwords.
func (s site) write(name string, lines ...string) error {
	return os.WriteFile(s.path(name), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

func (s site) output() string {
	b, err := os.ReadFile(s.path("output"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// dial opens a control connection on which the greeting is what comes first.
func (s site) dial(ctx context.Context) (net.Conn, error) {
	if s.opts.TLS == Implicit {
		d := tls.Dialer{Config: &tls.Config{RootCAs: s.certs.CA}}
		return d.DialContext(ctx, "tcp", s.addr())
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.addr())
}

// errExited says that a server ended before it greeted, as it does when its port
// is taken.
var errExited = errors.New("it ended before its greeting")

// errNotReady says that a server answered, and not that it is ready: it does not
// like its configuration.
var errNotReady = errors.New("it greeted not with 220")

// run starts the server and waits for its greeting.
func run(tb testing.TB, at site, argv []string) (pid int, err error) {
	out, err := os.Create(at.path("output"))
	if err != nil {
		return 0, err
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, at.dir
	if cmd.Env, err = at.environment(); err != nil {
		return 0, err
	}
	stop, err := startGroup(cmd)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // stop kills it, so its status says nothing
		close(exited)
		cancel()
	}()
	end := func() {
		stop()
		<-exited
	}
	err = at.awaitGreeting(ctx)
	select {
	case <-exited:
		err = errExited // whoever greeted was not ours
	default:
	}
	if err != nil {
		end()
		return 0, err
	}
	tb.Cleanup(end)
	return cmd.Process.Pid, nil
}

// awaitGreeting dials until a 220 is read.
func (s site) awaitGreeting(ctx context.Context) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		err := s.readGreeting(ctx)
		if err == nil || errors.Is(err, errNotReady) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no greeting on %s: %w", s.addr(), err)
		case <-again.C:
		}
	}
}

func (s site) readGreeting(ctx context.Context) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	lines := bufio.NewScanner(conn)
	said := ""
	for lines.Scan() {
		said = lines.Text()
		if strings.HasPrefix(said, "220 ") {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if said == "" {
		return errors.New("the connection ended before a greeting")
	}
	return fmt.Errorf("%w but %q", errNotReady, said)
}
