package bench

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// control is a bare FTP client: as little of the machine as can be goes to it.
type control struct {
	tb   testing.TB
	conn net.Conn
	r    *bufio.Reader
	host string
}

func dial(tb testing.TB, addr string) *control {
	tb.Helper()
	d := net.Dialer{KeepAlive: -1, Timeout: 20 * time.Second}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		tb.Fatalf("dial %s: %v", addr, err)
	}
	c := &control{tb: tb, conn: conn, r: bufio.NewReaderSize(conn, 4<<10), host: "127.0.0.1"}
	c.want("2")
	return c
}

func login(tb testing.TB, s *target) *control {
	tb.Helper()
	c := dial(tb, s.addr)
	c.send("USER " + s.user)
	if code := c.reply(); code[0] == '3' {
		c.send("PASS " + s.password)
		c.want("2")
	}
	c.cmd("TYPE I", "2")
	return c
}

func (c *control) send(line string) {
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.tb.Fatalf("%s: %v", line, err)
	}
}

// reply reads one reply and returns its last line.
func (c *control) reply() string {
	_ = c.conn.SetReadDeadline(time.Now().Add(60 * time.Second))
	first := ""
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.tb.Fatalf("reading a reply: %v", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if first == "" {
			first = line
		}
		if len(line) >= 4 && line[:3] == first[:3] && line[3] == ' ' {
			return line
		}
	}
}

func (c *control) want(prefix string) string {
	c.tb.Helper()
	line := c.reply()
	if !strings.HasPrefix(line, prefix) {
		c.tb.Fatalf("got %q, want %s…", line, prefix)
	}
	return line
}

func (c *control) cmd(line, prefix string) string {
	c.tb.Helper()
	c.send(line)
	return c.want(prefix)
}

func (c *control) close() {
	c.send("QUIT")
	c.reply()
	_ = c.conn.Close()
}

// epsv opens a passive data connection.
func (c *control) epsv() net.Conn {
	c.tb.Helper()
	line := c.cmd("EPSV", "229")
	port := line[strings.Index(line, "|||")+3:]
	port = port[:strings.Index(port, "|")]
	d := net.Dialer{KeepAlive: -1, Timeout: 20 * time.Second}
	conn, err := d.Dial("tcp", net.JoinHostPort(c.host, port))
	if err != nil {
		c.tb.Fatalf("data connection: %v", err)
	}
	return conn
}

var scratch = make([]byte, 1<<20)

// drain reads to the end, into nothing.
func drain(conn net.Conn, buf []byte) (n int64, err error) {
	for {
		m, err := conn.Read(buf)
		n += int64(m)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// retr fetches by the given command; it returns how many bytes came, and when
// the first was here.
func (c *control) retr(line string, buf []byte) (n int64, first time.Duration) {
	c.tb.Helper()
	data := c.epsv()
	start := time.Now()
	c.send(line)
	m, err := data.Read(buf[:min(len(buf), 64<<10)])
	first = time.Since(start)
	n = int64(m)
	if err == nil {
		var rest int64
		rest, err = drain(data, buf)
		n += rest
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil {
		c.tb.Fatalf("%s: %v", line, err)
	}
	_ = data.Close()
	c.want("1")
	c.want("2")
	return n, first
}

// stor sends size bytes of nothing.
func (c *control) stor(name string, size int64) {
	c.tb.Helper()
	data := c.epsv()
	c.send("STOR " + name)
	c.want("1")
	for size > 0 {
		n, err := data.Write(scratch[:min(size, int64(len(scratch)))])
		if err != nil {
			c.tb.Fatalf("STOR: %v", err)
		}
		size -= int64(n)
	}
	_ = data.Close()
	c.want("2")
}

func percentile(d []time.Duration, p float64) time.Duration {
	slices.Sort(d)
	return d[min(int(p*float64(len(d))), len(d)-1)]
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	if len(v) == 0 {
		return 0
	}
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func number(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
