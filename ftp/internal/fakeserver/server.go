// Package fakeserver provides an FTP server for tests of the client and of the packages above it.
// A test replaces the handlers of some commands, usually to misbehave. All other commands are
// answered as a correct server does.
//
// It is built on package ftp only. It must not import the client or a package above it, because
// their tests import this one.
package fakeserver

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// MLST is the FEAT lines of a server that supports MLST and MLSD.
var MLST = []string{"SIZE", "MDTM", "MLST type*;size*;modify*;unique*;"}

// Server is a fake server on loopback. A test sets its fields before the server listens.
type Server struct {
	Addr     string
	Greeting string                            // with its line end; "": the server sends nothing
	Implicit *tls.Config                       // for implicit TLS; nil: none
	Feat     []string                          // lines of FEAT; nil: the reply is 502
	Folds    bool                              // file names are compared without regard to case
	Files    map[string]string                 // path → content
	Dirs     map[string]string                 // path → the text of its listing
	On       map[string]func(*Session, string) // verb → handler, which gets the argument

	t  *testing.T
	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex // guards the fields below and, once the server listens, Files and Dirs
	got   []string   // commands, in order
	conns []io.Closer
}

// New starts a server and closes it when the test ends. If change is not nil, it is called before
// the server listens.
func New(t *testing.T, change func(f *Server)) *Server {
	t.Helper()
	f := &Server{
		Greeting: "220 ready\r\n", Feat: []string{"SIZE", "MDTM", "UTF8", "REST STREAM", "EPSV"},
		Files: map[string]string{}, Dirs: map[string]string{}, On: map[string]func(*Session, string){}, t: t,
	}
	if change != nil {
		change(f)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.ln, f.Addr = ln, ln.Addr().String()
	f.wg.Go(f.serve)
	t.Cleanup(f.stop)
	return f
}

func (f *Server) serve() {
	for {
		conn, err := f.ln.Accept()
		if err != nil {
			return
		}
		f.closeLater(conn)
		f.wg.Go(func() {
			s := &Session{Server: f, Conn: conn, In: bufio.NewReader(conn)}
			if f.Implicit != nil {
				s.StartTLS(f.Implicit)
				s.DataTLS = f.Implicit
			}
			s.run()
			s.DropData()
			_ = conn.Close()
		})
	}
}

// closeLater closes c when the test ends.
func (f *Server) closeLater(c io.Closer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns = append(f.conns, c)
}

func (f *Server) stop() {
	_ = f.ln.Close()
	f.mu.Lock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// Commands returns the command lines received so far, passwords included.
func (f *Server) Commands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// Since returns the command lines received after the first n.
func (f *Server) Since(n int) []string { return f.Commands()[n:] }

// Count returns how often a verb was received.
func (f *Server) Count(verb string) (n int) {
	for _, line := range f.Commands() {
		if v, _, _ := strings.Cut(line, " "); v == verb {
			n++
		}
	}
	return n
}

// spelled returns the existing spelling of a name. The caller holds f.mu.
func (f *Server) spelled(name string) string {
	if f.Folds {
		for other := range f.Files {
			if strings.EqualFold(other, name) {
				return other
			}
		}
	}
	return name
}

// File returns the content of a file, and whether it exists.
func (f *Server) File(name string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, ok := f.Files[f.spelled(name)]
	return text, ok
}

// SetFile creates or replaces a file.
func (f *Server) SetFile(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Files[f.spelled(name)] = text
}

// RemoveFile removes a file, if it exists.
func (f *Server) RemoveFile(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.Files, f.spelled(name))
}

// Names returns the paths of all files.
func (f *Server) Names() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range f.Files {
		all = append(all, name)
	}
	return all
}

// Dir returns the text of a directory's listing, and whether the directory exists.
func (f *Server) Dir(name string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list, ok := f.Dirs[name]
	return list, ok
}

// SetDir sets the text of a directory's listing.
func (f *Server) SetDir(name, list string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Dirs[name] = list
}
