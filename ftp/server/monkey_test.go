package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// Clients that send random commands, hang up at any moment and do not wait for replies do no harm: no panic, no
// leak, no temporary file, and the server can still be stopped.
func TestMonkeys(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	fsys, _ := disk(t)
	write(t, fsys, "/f", string(random(300_000)))
	check(t, fsys.MkdirAll("/d", 0o755))
	s := serve(t, fsys, func(o *server.Options) {
		o.DataTimeout, o.StallTimeout = 20*time.Millisecond, 50*time.Millisecond
	})
	var all sync.WaitGroup
	for i := range 16 {
		all.Add(1)
		go func() {
			defer all.Done()
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for range 12 {
				monkey(s.addr, r)
			}
		}()
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	check(t, s.Shutdown(ctx))
	if strings.Contains(s.log.String(), "panic") {
		t.Error(s.log.String())
	}
	for _, name := range names(t, fsys, "/") {
		if _, running, ok := server.ParsePartial(name); ok && running {
			t.Errorf("a temporary file is left: %s", name)
		}
	}
}

// monkey is the session of one such client.
func monkey(addr string, r *rand.Rand) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	ports := make(chan uint16, 100)
	var reading sync.WaitGroup
	reading.Add(1)
	go func() { // reads the replies and remembers the data ports
		defer reading.Done()
		lr := ftp.NewLineReader(conn, 64<<10)
		for {
			reply, err := ftp.ReadReply(lr)
			if err != nil {
				return
			}
			if port, err := ftp.Parse229(reply.Text()); reply.Code == 229 && err == nil {
				select {
				case ports <- port:
				default:
				}
			}
		}
	}()
	_, _ = io.WriteString(conn, "USER rw\r\nPASS rw\r\nTYPE I\r\n")
	words := []string{
		"EPSV", "EPSV", "EPSV", "RETR f", "STOR up", "STOR f", "APPE up", "STOU", "LIST -R", "MLSD", "ABOR", "ABOR", "NOOP", "STAT", "REST 5", "TYPE A", "TYPE I",
		"RNFR up", "RNTO up2", "DELE up2", "HASH f", "REIN", "USER rw\r\nPASS rw", "PASV", "CWD d", "CWD /", "\xff\xf4\xff\xf2ABOR", "STAT /", "SIZE f", "XYZZY", "",
	}
	var data []net.Conn
	for range 5 + r.IntN(40) {
		switch n := r.IntN(10); {
		case n < 7:
			_, _ = io.WriteString(conn, words[r.IntN(len(words))]+"\r\n")
		case n < 9:
			select {
			case port := <-ports:
				if d, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))); err == nil {
					_ = d.SetDeadline(time.Now().Add(patience))
					data = append(data, d)
				}
			case <-time.After(time.Millisecond):
			}
		case len(data) > 0:
			d := data[r.IntN(len(data))]
			switch r.IntN(4) {
			case 0:
				_, _ = d.Write(random(r.IntN(100_000)))
			case 1:
				_ = d.(*net.TCPConn).SetLinger(0)
				_ = d.Close()
			case 2:
				_ = d.Close()
			case 3:
				_ = d.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
				_, _ = d.Read(make([]byte, 1000))
			}
		}
	}
	switch r.IntN(4) {
	case 0:
		_, _ = io.WriteString(conn, "QUIT\r\n")
		reading.Wait()
	case 1:
		_ = conn.(*net.TCPConn).SetLinger(0)
	case 2:
		_ = conn.(*net.TCPConn).CloseWrite()
		reading.Wait()
	}
	for _, d := range data {
		_ = d.Close()
	}
	_ = conn.Close()
	reading.Wait()
}

// Sessions are in all kinds of states when the server shuts down.
func TestShutdownInTheMiddle(t *testing.T) {
	parallel(t)
	testutil.Long(t)
	for range 20 {
		fsys := fsroot.NewMem()
		write(t, fsys, "/f", string(random(1<<20)))
		s := serve(t, fsys)
		var all sync.WaitGroup
		for i := range 8 {
			c := s.login(t, "rw")
			all.Add(1)
			go func() {
				defer all.Done()
				for range 50 {
					cmd := "NOOP\r\n"
					if i%2 == 0 {
						cmd = "PWD\r\nHASH f\r\n"
					}
					if _, err := io.WriteString(c.Conn, cmd); err != nil {
						break
					}
				}
				_, _ = io.Copy(io.Discard, c.Conn) // until the server closes the connection
			}()
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := s.Shutdown(ctx); err != nil {
			t.Fatalf("Shutdown: %v", err)
		}
		cancel()
		all.Wait()
	}
}

// Whatever a client sends, the replies are well formed, each of their lines ends, and nothing panics.
func FuzzSession(f *testing.F) {
	for _, v := range server.Verbs() {
		f.Add([]byte(line(v.Name) + "\r\n" + v.Name + "\r\n"))
	}
	f.Add([]byte("EPSV\r\nRETR f\r\nABOR\r\nREST 5\nSTOR \xff\xff\x00\r\n\xff\xf4\xff\xf2ABOR\r\n"))
	f.Add([]byte("LIST -laRtSr [*?]\\\r\nNLST [z-a]\r\nSTAT *\r\nMFF ;=;; x\r\nXCRC \"a\" 1 2\r\nSITE UTIME a b c d UTC\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		log := &lines{}
		fsys := fsroot.NewMem()
		write(t, fsys, "/f", "content")
		srv, err := server.New(server.Options{Auth: accounts(fsys), Log: slog.New(slog.NewTextHandler(log, nil)), DataTimeout: time.Millisecond})
		check(t, err)
		l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		_ = ours.SetDeadline(time.Now().Add(patience))
		go func() {
			_, _ = ours.Write(append([]byte("USER rw\r\nPASS rw\r\n"), append(said, "\r\nQUIT\r\n"...)...))
		}()
		all, err := io.ReadAll(ours)
		check(t, err)
		_ = ours.Close()
		check(t, srv.Close())
		<-served
		if strings.Contains(log.String(), "panic") {
			t.Fatal(log.String())
		}
		lr := ftp.NewLineReader(bytes.NewReader(all), 64<<10)
		for {
			if _, err := ftp.ReadReply(lr); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %q", err, all)
			}
		}
	})
}
