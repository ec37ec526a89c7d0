// Package peers starts stock FTP servers, for tests and benchmarks of miniftp's
// client, and finds stock clients, for those of miniftp's server. The script .ci/peers
// installs them.
//
// If a peer is missing, the test is skipped, or fails if MINIFTP_REQUIRE_PEERS is 1.
// With -short, all tests with peers are skipped.
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
	"miniftp/internal/procgroup"
)

// Server is a running stock server. It has one user, who may do everything it supports.
// It is stopped when the test ends.
type Server struct {
	Name     string // as in Names
	Addr     string // host:port for control connections
	User     string
	Password string
	// Root is the host directory in which a login starts. The user sees it as "/", but
	// with vsftpd by its path on the host, because vsftpd cannot hide that without PAM.
	Root string
	PID  int // the process that listens; sessions are its children or run in it
	// Certs holds the server's certificate and the authority to trust; nil if TLS is Off.
	Certs *Certs
}

// Options configures a server. The zero value is IPv4, writable, and no TLS. Not every server
// supports all options of TLS; see Can.
type Options struct {
	IPv6         bool   // listen on ::1 instead of 127.0.0.1
	Deflate      bool   // enable MODE Z, which only proftpd supports
	ReadOnly     bool   // refuse every change
	PassivePorts string // "first-last"; if empty, Start reserves ports
	FXP          bool   // allow copies from server to server
	PerHost      int    // the limit for concurrent sessions of one host; 0 means no limit

	TLS          TLSMode
	TLSVersion   uint16 // tls.VersionTLS12 or tls.VersionTLS13 only; 0 means both
	RequireReuse bool   // refuse a data connection that does not resume the control connection's session
	Certs        *Certs // the server's certificate; nil means a new one

	PublicIP string // the IPv4 address in 227 replies; empty means that of the control connection
}

const (
	user     = "user"
	password = "secret"
	// secretHash is the crypt(3) hash of password, with SHA-512.
	secretHash = "$6$miniftp$03AK5DCYdrFc7pFxYz26CtAC5DaYTpLKOkfgasIoHqU9.pvyFa7.qfa2mY1dYmmpah8qtSfPeM7DyEceJmkN//"

	startTimeout = 20 * time.Second
)

// Names returns the names of the servers that Start can start, except FTPSrv.
func Names() []string {
	var names []string
	for _, k := range kinds {
		if !k.narrow {
			names = append(names, k.name)
		}
	}
	return names
}

// Start starts a server on a free loopback port, waits for its greeting, and stops
// it when the test ends. The user's login directory is the host directory root. The
// test fails if the server does not support the options; see Can.
//
// pure-ftpd refuses uid 0 for its user. If root runs the test, Start therefore gives the
// directory root and everything in it to the user nobody, unless opts.ReadOnly is set. Files
// that the test adds later can be read, renamed and deleted, but not overwritten.
func Start(tb testing.TB, name string, root string, opts Options) *Server {
	tb.Helper()
	for _, k := range kinds {
		if k.name != name {
			continue
		}
		if !k.can(opts) {
			tb.Fatalf("peers: %s does not support %+v", name, opts)
		}
		return k.start(tb, root, opts)
	}
	tb.Fatalf("peers: no server is called %q", name)
	return nil
}

// Client returns the path of a stock client: curl, lftp, wget, tnftp, ncftpget,
// ncftpput, busybox, openssl, gnutls-cli or python3.
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
		tb.Fatalf("%s is missing or can't run here; to install it, run .ci/peers as root", name)
	}
	tb.Skipf("%s is missing or can't run here; to install it, run .ci/peers as root", name)
}

// find returns the path of a program, or "". It looks in the directory of .ci/peers first.
func find(name string) string {
	for _, dir := range []string{unpacked() + "/usr/sbin", unpacked() + "/usr/bin", "", "/usr/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

// unpacked returns the directory into which .ci/peers installs.
func unpacked() string {
	if dir := os.Getenv("MINIFTP_PEERS"); dir != "" {
		return dir
	}
	return "/opt/miniftp-peers"
}

// modules returns the directory of the packages for node.
func modules() string { return unpacked() + "/node/node_modules" }

// python returns the path of a Python that has pyftpdlib, or "". It tries the system's
// Python first, because that in PATH may be another one.
var python = sync.OnceValue(func() string {
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.Command(path, "-c", "import pyftpdlib").Run() == nil {
			return path
		}
	}
	return ""
})

// start starts a server. It tries several ports, because a program other than a test may take the
// port that was just free.
func (k kind) start(tb testing.TB, root string, opts Options) *Server {
	tb.Helper()
	testutil.Long(tb)
	binary := k.find(opts)
	if binary == "" || !procgroup.CanRun {
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

// dataPorts is the number of passive ports of a server. They are reserved: with ports that the
// system chooses, a client of another test, whose server has ended, could connect to a data port
// of this server.
const dataPorts = 64

// site holds the settings for one run of a server.
type site struct {
	binary, root string
	dir          string // for its configuration and output
	host         string
	port         int
	opts         Options
	certs        *Certs // nil if TLS is Off
}

func (s site) addr() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

func (s site) path(name string) string { return filepath.Join(s.dir, name) }

// write writes a file with mode 0600, which proftpd requires for passwords.
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

// dial opens a control connection on which the greeting can be read.
func (s site) dial(ctx context.Context) (net.Conn, error) {
	if s.opts.TLS == Implicit {
		d := tls.Dialer{Config: &tls.Config{RootCAs: s.certs.CA}}
		return d.DialContext(ctx, "tcp", s.addr())
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", s.addr())
}

// errExited is returned if a server ended before its greeting. Its port may be in use.
var errExited = errors.New("it ended before its greeting")

// errNotReady is returned for a greeting other than 220. The server may have found an
// error in its configuration.
var errNotReady = errors.New("the greeting is not 220")

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
	stop, err := procgroup.Start(cmd)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // stop kills it, so its status has no meaning
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
		err = errExited // so the greeting was that of another program
	default:
	}
	if err != nil {
		end()
		return 0, err
	}
	tb.Cleanup(end)
	return cmd.Process.Pid, nil
}

// awaitGreeting dials until it reads a 220.
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
