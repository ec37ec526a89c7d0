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

// Play runs a Script's client side against the server at addr: it sends the
// commands, makes the data connections and compares every reply. It stops at the
// first difference.
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

// PlayClient runs a Script's server side on a loopback port, and do against it.
// do is given the address and the words of the script's "do:" line.
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
	data   net.Listener // when this side listens
	dialed net.Conn     // when it dials: at once, as clients do
}

// run plays the steps; side is whose lines are sent: the other's are awaited.
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

// awaitLong reads a reply of several lines. It must hold the script's inner lines
// and may hold more: servers know more than a script asks for.
func (p *player) awaitLong(code string, inner []Step) error {
	var got []string
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("nothing came: %w", err)
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

// matches compares a line with one of the script: after a … anything may follow.
func matches(want, got string) bool {
	if head, free := strings.CutSuffix(want, "…"); free {
		return strings.HasPrefix(got, head)
	}
	return want == got
}

// send writes a line, its {port} or {addr} filled in by a port to listen on.
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
		return fmt.Errorf("nothing came: %w", err)
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
	return p.call(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)))
}

func (p *player) takeAddr(want, got string) error {
	before, after, _ := strings.Cut(want, "{addr}")
	text, ok := strings.CutPrefix(got, before)
	text, ok2 := strings.CutSuffix(text, after)
	addr, err := ftp.ParseHostPort(text)
	if !ok || !ok2 || err != nil {
		return fmt.Errorf("got %q", got)
	}
	return p.call(addr)
}

func (p *player) call(addr netip.AddrPort) (err error) {
	p.closeData()
	p.dialed, err = dialTCP(addr.String())
	return err
}

// transfer moves the bytes of n steps. The command before them says who sends.
func (p *player) transfer(i, n int, side string) error {
	want, free, err := content(p.script.Steps[i : i+n])
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
	case free && len(got) != len(want):
		return fmt.Errorf("the data connection brought %d bytes", len(got))
	case !free && !bytes.Equal(got, want):
		return fmt.Errorf("the data connection brought %q", got)
	}
	return nil
}

// mostContent bounds what a script's transfer moves.
const mostContent = 64 << 20

// content is what D steps or a B step move; free: any bytes will do.
func content(steps []Step) (b []byte, free bool, err error) {
	if steps[0].Kind == 'B' {
		n, err := strconv.ParseUint(steps[0].Text, 10, 32)
		if err != nil || n > mostContent {
			return nil, true, fmt.Errorf("%q is no number of bytes", steps[0].Text)
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

// sender is whose bytes the transfer before step i moves.
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
		return nil, errors.New("no data connection was agreed on")
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
