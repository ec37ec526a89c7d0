package ftptest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"miniftp/ftp"
)

// Play runs the client's side of a Script against the server at addr: it sends the
// commands, opens the data connections and compares every reply. It returns an error
// at the first difference.
func Play(s *Script, addr string) error {
	conn, err := dialTCP(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	p := &player{script: s, conn: conn, r: bufio.NewReader(conn)}
	defer p.closeData()
	return p.run("C")
}

// PlayClient runs the server's side of a Script on a loopback port, and calls do, which
// must run a client against it. The arguments of do are the address and the words of
// the script's "do:" line.
func PlayClient(s *Script, do func(addr string, words []string) error) error {
	l, err := listenTCP("127.0.0.1")
	if err != nil {
		return err
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		p := &player{script: s, conn: conn, r: bufio.NewReader(conn)}
		defer p.closeData()
		served <- p.run("S")
	}()
	doErr := do(l.Addr().String(), s.Do)
	_ = l.Close()
	if err := <-served; err != nil {
		return err
	}
	return doErr
}

func dialTCP(addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: stepTimeout}
	return d.DialContext(context.Background(), "tcp", addr)
}

// listenTCP listens on a free port.
func listenTCP(host string) (net.Listener, error) {
	lc := net.ListenConfig{}
	return lc.Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
}

// player is one side of a conversation.
type player struct {
	script *Script
	conn   net.Conn
	r      *bufio.Reader
	data   net.Listener // for the data connection, if this side listens
	dialed net.Conn     // the data connection, if this side dials; it does so before the command
}

// run plays the steps. side is 'C' or 'S': lines of that kind are sent, and the others are
// expected from the peer.
func (p *player) run(side string) error {
	steps := p.script.Steps
	for i := 0; i < len(steps); i++ {
		st := steps[i]
		var err error
		_ = p.conn.SetDeadline(time.Now().Add(stepTimeout))
		switch {
		case st.Kind == 'D', st.Kind == 'B':
			n := 1
			for st.Kind == 'D' && i+n < len(steps) && steps[i+n].Kind == 'D' {
				n++
			}
			err = p.transfer(i, n, side)
			i += n - 1
		case string(st.Kind) == side:
			err = p.send(st.Text)
		case len(st.Text) > 3 && st.Kind == 'S' && st.Text[3] == '-':
			n := 1
			for i+n < len(steps) && !strings.HasPrefix(steps[i+n].Text, st.Text[:3]+" ") {
				n++
			}
			err = p.awaitLong(st.Text[:3], steps[i+1:i+n])
			i += n
		default:
			err = p.await(st.Text)
		}
		if err != nil {
			return fmt.Errorf("%s, step %d, %c: %s: %w", p.script.Name, i+1, st.Kind, st.Text, err)
		}
	}
	return nil
}

// awaitLong reads a reply of several lines. It must contain the script's inner lines
// and may contain others, because servers support more than a script tests.
func (p *player) awaitLong(code string, inner []Step) error {
	var got []string
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("no line received: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if got = append(got, line); strings.HasPrefix(line, code+" ") {
			break
		}
		if len(got) == 1 && !strings.HasPrefix(line, code+"-") {
			return fmt.Errorf("got %q", line)
		}
	}
	for _, want := range inner {
		if !slices.ContainsFunc(got, func(line string) bool { return matches(want.Text, line) }) {
			return fmt.Errorf("%q is not in the reply %q", want.Text, got)
		}
	}
	return nil
}

// matches reports whether a line matches one of the script, in which "…" at the end stands for
// any text.
func matches(want, got string) bool {
	if head, free := strings.CutSuffix(want, "…"); free {
		return strings.HasPrefix(got, head)
	}
	return want == got
}

// send sends a line. If it contains {port} or {addr}, the player listens on a port and inserts its
// address.
func (p *player) send(text string) error {
	if strings.Contains(text, "{") {
		p.closeData()
		l, err := listenTCP("127.0.0.1")
		if err != nil {
			return err
		}
		p.data = l
		a, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			return err
		}
		text = strings.NewReplacer("{port}", strconv.Itoa(int(a.Port())), "{addr}", ftp.FormatHostPort(a)).Replace(text)
	}
	_, err := io.WriteString(p.conn, strings.TrimSuffix(text, "…")+"\r\n")
	return err
}

// await reads a line and compares it.
func (p *player) await(want string) error {
	line, err := p.r.ReadString('\n')
	if err != nil {
		return fmt.Errorf("no line received: %w", err)
	}
	got := strings.TrimRight(line, "\r\n")
	switch {
	case strings.Contains(want, "{port}"):
		return p.takePort(want, got)
	case strings.Contains(want, "{addr}"):
		return p.takeAddr(want, got)
	case !matches(want, got):
		return fmt.Errorf("got %q", got)
	}
	return nil
}

func (p *player) takePort(want, got string) error {
	before, after, _ := strings.Cut(want, "{port}")
	number, ok := strings.CutPrefix(got, before)
	number, ok2 := strings.CutSuffix(number, after)
	port, err := strconv.ParseUint(number, 10, 16)
	if !ok || !ok2 || err != nil {
		return fmt.Errorf("got %q", got)
	}
	return p.dial(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)))
}

func (p *player) takeAddr(want, got string) error {
	before, after, _ := strings.Cut(want, "{addr}")
	text, ok := strings.CutPrefix(got, before)
	text, ok2 := strings.CutSuffix(text, after)
	addr, err := ftp.ParseHostPort(text)
	if !ok || !ok2 || err != nil {
		return fmt.Errorf("got %q", got)
	}
	return p.dial(addr)
}

func (p *player) dial(addr netip.AddrPort) (err error) {
	p.closeData()
	p.dialed, err = dialTCP(addr.String())
	return err
}

// transfer sends or receives the data of n steps from the i-th on. The command before them
// decides which side sends.
func (p *player) transfer(i, n int, side string) error {
	want, sizeOnly, err := content(p.script.Steps[i : i+n])
	if err != nil {
		return err
	}
	conn, err := p.open()
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(stepTimeout))
	if (p.sender(i) == ftp.UserPI) == (side == "C") {
		_, err = conn.Write(want)
		return err
	}
	got, err := io.ReadAll(io.LimitReader(conn, mostContent))
	switch {
	case err != nil:
		return err
	case sizeOnly && len(got) != len(want):
		return fmt.Errorf("received %d bytes of data", len(got))
	case !sizeOnly && !bytes.Equal(got, want):
		return fmt.Errorf("received the data %q", got)
	}
	return nil
}

// mostContent is the limit for the size of a script's transfer.
const mostContent = 64 << 20

// content returns the data of D steps or of a B step. sizeOnly is true for a B step, of which only
// the size matters.
func content(steps []Step) (b []byte, sizeOnly bool, err error) {
	if steps[0].Kind == 'B' {
		n, err := strconv.ParseUint(steps[0].Text, 10, 32)
		if err != nil || n > mostContent {
			return nil, true, fmt.Errorf("%q is not a number of bytes", steps[0].Text)
		}
		return make([]byte, n), true, nil
	}
	for _, st := range steps {
		text, err := strconv.Unquote(`"` + strings.ReplaceAll(st.Text, `"`, `\"`) + `"`)
		if err != nil {
			return nil, false, err
		}
		b = append(b, text...)
	}
	return b, false, nil
}

// sender returns the side that sends in the transfer before step i.
func (p *player) sender(i int) ftp.Side {
	for ; i >= 0; i-- {
		if st := p.script.Steps[i]; st.Kind == 'C' {
			verb, _, _ := strings.Cut(st.Text, " ")
			switch verb {
			case "STOR", "APPE", "STOU":
				return ftp.Store.Sender()
			}
			return ftp.Retrieve.Sender()
		}
	}
	return ftp.ServerPI
}

func (p *player) open() (net.Conn, error) {
	if p.dialed != nil {
		conn := p.dialed
		p.dialed = nil
		return conn, nil
	}
	l, ok := p.data.(*net.TCPListener)
	if !ok {
		return nil, errors.New("no PORT, PASV, EPRT or EPSV precedes the transfer")
	}
	_ = l.SetDeadline(time.Now().Add(stepTimeout))
	defer p.closeData()
	return l.Accept()
}

func (p *player) closeData() {
	if p.data != nil {
		_ = p.data.Close()
		p.data = nil
	}
	if p.dialed != nil {
		_ = p.dialed.Close()
		p.dialed = nil
	}
}
