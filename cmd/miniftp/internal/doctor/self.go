package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/pi"
)

// selfReport is the result of doctor --self: whether the server on this host answers. It is made for the health checks of
// containers and service managers, so it is quick and changes nothing.
type selfReport struct {
	about     control.About
	listeners []selfListener
	err       error // why the server is not healthy
}

// selfListener is an address that the server listens on, and how it answered there.
type selfListener struct {
	control.Listener
	reply ftp.Reply
	took  time.Duration
	err   error
}

// runSelf examines the server that runs on this host.
func runSelf(e *verb.Env, c *cli.Context) error {
	if c.Args().Present() || c.Bool("write") || c.Bool("read-only") {
		return verb.Usagef("--self is about the server that runs here: it takes no URL, and neither --write nor --read-only")
	}
	cl, err := control.Dial(c.Context, c.String(socketFlag))
	if err != nil {
		return err
	}
	s := &selfReport{}
	if s.about, err = cl.About(c.Context); err != nil {
		return err
	}
	for _, l := range s.about.Listen {
		at := selfListener{Listener: l}
		if !s.about.Draining { // otherwise the listeners are closed
			at.try(c.Context, c.Duration("timeout"))
		}
		s.err = verb.FirstError(s.err, verb.At(l.Addr, at.err))
		s.listeners = append(s.listeners, at)
	}
	if c.Context.Err() != nil {
		return context.Cause(c.Context)
	}
	if c.Bool("json") {
		err = verb.PrintJSON(e.Out, s.json())
	} else if !c.Bool("quiet") {
		err = s.print(e.Out)
	}
	return verb.FirstError(err, s.err)
}

// try connects and reads the greeting. A server that has no room for another session is healthy nevertheless.
func (l *selfListener) try(ctx context.Context, patience time.Duration) {
	start := time.Now()
	conn, err := pi.Dial(ctx, l.Reach(), pi.Config{Timeout: patience, Dial: l.dial})
	if err != nil {
		l.err = verb.Cause(err)
		return
	}
	defer func() { _ = conn.Close() }()
	l.reply, l.err = conn.Greeting(ctx)
	l.took = time.Since(start)
	if refused, ok := errors.AsType[*ftp.Error](l.err); ok {
		l.reply, l.err = refused.Reply, nil
	}
	switch {
	case l.err != nil || l.reply.Code == 421:
	case l.reply.Code != 220:
		l.err = &ftp.Error{Reply: l.reply}
	default:
		if _, err := conn.Exchange(ctx, "QUIT", ""); err == nil {
			_, _ = conn.Next(ctx, ftp.Command{}) // wait until the session no longer counts
		}
	}
}

// dial connects as a client or, if the server expects a PROXY header from this host, as a balancer. The certificate is not
// checked: it is for the names that clients use.
func (l *selfListener) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil || !l.TLS && !l.Header {
		return conn, err
	}
	if l.Header {
		_, err = io.WriteString(conn, "PROXY UNKNOWN\r\n") // a check by the balancer itself
	}
	if err == nil && l.TLS {
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"ftp"}}) //nolint:gosec // see above
		if err = secure.HandshakeContext(ctx); err == nil {
			return secure, nil
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// state returns the state of the server in a word.
func (s *selfReport) state() string {
	switch {
	case s.err != nil:
		return "unhealthy"
	case s.about.Draining:
		return "draining"
	}
	return "healthy"
}

// print writes the report for people.
func (s *selfReport) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is %s: up %s, %d %s\n", s.about.Name, s.state(), term.Span(time.Since(s.about.Since)), s.about.Sessions, term.Plural(int64(s.about.Sessions), "session", "sessions"))
	for _, l := range s.listeners {
		switch {
		case s.about.Draining:
			continue
		case l.err != nil:
			fmt.Fprintf(&b, "  %s  %v\n", l.Addr, l.err)
		default:
			fmt.Fprintf(&b, "  %s  %s  %s\n", l.Addr, ftp.Printable(l.reply.String()), term.Span(l.took))
		}
	}
	for _, cert := range s.about.Certificates {
		fmt.Fprintf(&b, "  %s\n", cert.Describe(time.Now()))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// jsonSelf is the output of doctor --self --json.
type jsonSelf struct {
	control.About
	State  string             `json:"state"` // healthy, draining or unhealthy
	Exit   int                `json:"exit"`
	Error  string             `json:"error,omitempty"`
	Listen []jsonSelfListener `json:"listen"`
}

type jsonSelfListener struct {
	control.Listener
	Reply string  `json:"reply,omitempty"`
	MS    float64 `json:"ms,omitempty"`
	Error string  `json:"error,omitempty"`
}

func (s *selfReport) json() jsonSelf {
	j := jsonSelf{About: s.about, State: s.state(), Exit: verb.ExitCode(s.err), Listen: []jsonSelfListener{}}
	if s.err != nil {
		j.Error = s.err.Error()
	}
	for _, l := range s.listeners {
		one := jsonSelfListener{Listener: l.Listener, MS: inMillis(l.took)}
		if l.reply.Code != 0 {
			one.Reply = l.reply.String()
		}
		if l.err != nil {
			one.Error = l.err.Error()
		}
		j.Listen = append(j.Listen, one)
	}
	return j
}
