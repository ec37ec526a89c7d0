package client_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/testutil"
)

// fake is a server that does what a test tells it, the wrong things above all.
// What a test does not override behaves well.
type fake struct {
	t        *testing.T
	addr     string
	greeting string
	implicit *tls.Config // TLS comes first
	feat     []string    // lines of FEAT; nil: 502
	folds    bool        // names that differ in case only are the same
	on       map[string]func(s *session, arg string)

	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex
	files map[string]string
	dirs  map[string]string // path → what a listing of it sends
	got   []string          // commands, in order
	conns []net.Conn
}

// newFake starts a fake on loopback; change may set it up before it listens.
func newFake(t *testing.T, change func(f *fake)) *fake {
	t.Helper()
	f := &fake{
		t: t, greeting: "220 ready\r\n", feat: []string{"SIZE", "MDTM", "UTF8", "REST STREAM", "EPSV"},
		on: map[string]func(*session, string){}, files: map[string]string{}, dirs: map[string]string{},
	}
	if change != nil {
		change(f)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.ln, f.addr = ln, ln.Addr().String()
	f.wg.Go(f.serve)
	t.Cleanup(f.stop)
	return f
}

func (f *fake) serve() {
	for {
		conn, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, conn)
		f.mu.Unlock()
		f.wg.Go(func() {
			s := &session{f: f, conn: conn, in: bufio.NewReader(conn)}
			if f.implicit != nil {
				s.startTLS(f.implicit)
				s.dataTLS = f.implicit
			}
			s.run()
			s.dropData()
			_ = conn.Close()
		})
	}
}

func (f *fake) stop() {
	_ = f.ln.Close()
	f.mu.Lock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// commands are the lines that came, the secret ones included.
func (f *fake) commands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// count is how often a verb came.
func (f *fake) count(verb string) (n int) {
	for _, line := range f.commands() {
		if v, _, _ := strings.Cut(line, " "); v == verb {
			n++
		}
	}
	return n
}

// session is one control connection of the fake.
type session struct {
	from    string // of RNFR
	f       *fake
	conn    net.Conn
	in      *bufio.Reader
	ln      net.Listener
	port    netip.AddrPort // of PORT or EPRT
	dir     string         // the current directory; "" is that of the login
	offset  int
	ascii   bool
	dataTLS *tls.Config // of data connections; nil: they are clear
}

func (s *session) run() {
	if s.f.greeting == "" {
		_, _ = s.in.ReadByte() // says nothing until the other side gives up
		return
	}
	s.raw(s.f.greeting)
	for {
		verb, arg, ok := s.next()
		if !ok {
			return
		}
		if h := s.f.on[verb]; h != nil {
			h(s, arg)
		} else {
			s.wellBehaved(verb, arg)
		}
	}
}

// next reads one command.
func (s *session) next() (verb, arg string, ok bool) {
	line, err := s.in.ReadString('\n')
	if err != nil {
		return "", "", false
	}
	line = strings.TrimSuffix(line, "\r\n")
	s.f.mu.Lock()
	s.f.got = append(s.f.got, line)
	s.f.mu.Unlock()
	verb, arg, _ = strings.Cut(line, " ")
	return verb, arg, true
}

func (s *session) raw(text string) { _, _ = io.WriteString(s.conn, text) }

func (s *session) say(line string) { s.raw(line + "\r\n") }

func (s *session) wellBehaved(verb, arg string) {
	switch verb {
	case "USER":
		s.say("331 password?")
	case "PASS":
		s.say("230 in")
	case "FEAT":
		s.features()
	case "TYPE":
		s.ascii = arg == "A"
		s.say("200 type " + arg)
	case "OPTS", "NOOP", "SITE", "MFMT":
		s.say("200 ok")
	case "QUIT":
		s.say("221 bye")
	case "PWD":
		s.say(`257 "/" is here`)
	case "CWD":
		if _, ok := s.f.dirs[arg]; !ok && arg != "/" {
			s.say("550 no such directory")
			return
		}
		if s.dir = arg; arg == "/" {
			s.dir = ""
		}
		s.say("250 there")
	case "MKD", "RMD", "DELE":
		s.say("250 done")
	case "RNTO":
		if text, ok := s.f.get(s.from); ok {
			s.f.drop(s.from)
			s.f.set(arg, text)
		}
		s.say("250 done")
	case "RNFR":
		s.from = arg
		s.say("350 to?")
	case "ABOR":
		s.say("226 nothing to abort")
	case "EPSV":
		s.listen()
		s.say(fmt.Sprintf("229 come (|||%d|)", s.listenPort()))
	case "PASV":
		s.listen()
		s.say(fmt.Sprintf("227 come (127,0,0,1,%d,%d)", s.listenPort()>>8, s.listenPort()&255))
	case "EPRT":
		s.port, _ = ftp.ParseEPRT(arg)
		s.say("200 ok")
	case "PORT":
		s.port, _ = ftp.ParseHostPort(arg)
		s.say("200 ok")
	case "REST":
		s.offset, _ = strconv.Atoi(arg)
		s.say("350 from there")
	case "SIZE", "MDTM", "RETR", "STOR", "APPE", "STOU", "LIST", "NLST", "MLSD":
		s.wellBehavedFile(verb, arg)
	default:
		s.say("502 what?")
	}
}

func (s *session) wellBehavedFile(verb, arg string) {
	text, ok := s.f.file(arg)
	switch verb {
	case "SIZE", "MDTM", "RETR":
		if !ok {
			s.say("550 no such file")
			return
		}
	}
	switch verb {
	case "SIZE":
		s.say(fmt.Sprint("213 ", len(text)))
	case "MDTM":
		s.say("213 20240102030405")
	case "RETR":
		s.say("150 here it comes")
		s.send(text[min(s.offset, len(text)):])
		s.say("226 done")
	case "LIST", "NLST", "MLSD":
		s.say("150 here it comes")
		if arg == "" || arg == "-a" {
			arg = s.dir
		}
		list, ok := s.f.dirs[arg]
		if !ok { // as ls takes it
			list = s.f.dirs[strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(arg, "-a"), " "), "/")]
		}
		s.send(list)
		s.say("226 done")
	case "STOR", "APPE", "STOU":
		s.take(verb, arg, text)
	}
	s.offset = 0
}

// take stores what comes.
func (s *session) take(verb, arg, before string) {
	s.say("150 give")
	data := s.data()
	b, err := io.ReadAll(data)
	_ = data.Close()
	if err != nil {
		s.say("426 broken")
		return
	}
	switch verb {
	case "APPE":
		s.f.setFile(arg, before+string(b))
	case "STOR":
		s.f.setFile(arg, before[:min(s.offset, len(before))]+string(b))
	default:
		s.f.setFile(arg, string(b))
	}
	s.say("226 got it")
}

func (s *session) features() {
	if s.f.feat == nil {
		s.say("502 no features")
		return
	}
	s.say("211-Features")
	for _, line := range s.f.feat {
		s.say(" " + line)
	}
	s.say("211 End")
}

func (s *session) listen() {
	s.dropData()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.f.t.Error(err)
		return
	}
	s.ln = ln
	s.f.mu.Lock()
	s.f.conns = append(s.f.conns, closerConn{ln})
	s.f.mu.Unlock()
}

func (s *session) listenPort() int { return s.ln.Addr().(*net.TCPAddr).Port }

func (s *session) dropData() {
	if s.ln != nil {
		_ = s.ln.Close()
		s.ln = nil
	}
	s.port = netip.AddrPort{}
}

// data makes the data connection, whichever way was agreed on.
func (s *session) data() net.Conn {
	defer s.dropData()
	var c net.Conn
	var err error
	if s.ln != nil {
		c, err = s.ln.Accept()
	} else {
		c, err = net.Dial("tcp", s.port.String())
	}
	if err != nil {
		a, b := net.Pipe() // it is gone: let the handler run out
		_, _ = a.Close(), b.Close()
		return b
	}
	s.f.mu.Lock()
	s.f.conns = append(s.f.conns, c)
	s.f.mu.Unlock()
	if s.dataTLS != nil {
		return tls.Server(c, s.dataTLS)
	}
	return c
}

// send sends text over a data connection and closes it.
func (s *session) send(text string) {
	c := s.data()
	_, _ = io.WriteString(c, text)
	_ = c.Close()
}

// closerConn lets a listener be closed with the connections.
type closerConn struct{ net.Listener }

func (closerConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (closerConn) Write([]byte) (int, error)        { return 0, io.EOF }
func (closerConn) LocalAddr() net.Addr              { return nil }
func (closerConn) RemoteAddr() net.Addr             { return nil }
func (closerConn) SetDeadline(time.Time) error      { return nil }
func (closerConn) SetReadDeadline(time.Time) error  { return nil }
func (closerConn) SetWriteDeadline(time.Time) error { return nil }

// dial logs in at the fake.
func (f *fake) dial(o *client.Options) *client.Client {
	f.t.Helper()
	c, err := client.Dial(f.t.Context(), f.addr, o)
	if err != nil {
		f.t.Fatalf("Dial: %v", err)
	}
	f.t.Cleanup(func() { _ = c.Close() })
	return c
}

// settled reports whether the goroutines went back to no more than before.
func settled(before int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for runtime.NumGoroutine() > before {
		if ctx.Err() != nil {
			return false
		}
		runtime.Gosched()
	}
	return true
}

// TestMain fails when a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	testutil.RunParallel()
	before := runtime.NumGoroutine()
	code := m.Run()
	if code == 0 && !settled(before) {
		buf := make([]byte, 1<<20)
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", buf[:runtime.Stack(buf, true)])
		code = 1
	}
	os.Exit(code)
}

// over returns options for a file in fsys.
func over(fsys afero.Fs, o client.FileOptions) client.FileOptions {
	o.FS = fsys
	return o
}
