package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// dropTime is how long the client waits for a data connection whose packets are dropped: long
// enough to be noticed, short enough to wait for.
const dropTime = time.Second

// firewall is a firewall on one side. It lets outgoing connections pass and drops incoming ones
// without an answer, so that dialing times out.
type firewall struct {
	at    ftp.Side
	title string
	runs  []throughWall
	cure  string // the advice
}

// throughWall is a transfer through a firewall.
type throughWall struct {
	mode  ftp.DataMode
	fails bool
	title string
}

var firewalls = []*firewall{
	{
		at:    ftp.UserPI,
		title: "1. A firewall or NAT on the client's side, as in most homes and offices, drops every incoming connection.",
		runs: []throughWall{
			{ftp.Active, true, "Active mode fails: the server's connection to the client is dropped."},
			{ftp.Passive, false, "Passive mode works: the client dials both connections."},
		},
		cure: "What to do: use passive mode. It is the default of miniftp and of most clients.",
	},
	{
		at:    ftp.ServerPI,
		title: "2. A firewall on the server's side accepts connections to the control port and drops all others.",
		runs: []throughWall{
			{ftp.Passive, true, "Passive mode fails: the client's connection to the data port is dropped."},
			{ftp.Active, false, "Active mode works: the server dials the data connection."},
		},
		cure: "What to do: the server's administrator configures a range of passive ports and opens the same range in the firewall " +
			"(miniftp serve --passive-ports 40000-40100). Then passive mode works for all clients. Active mode works only for " +
			"clients without a firewall of their own.",
	},
}

// showFirewalls fetches the file in both modes through each firewall, beginning with the mode that
// fails.
func (d *demo) showFirewalls(out io.Writer) error {
	fmt.Fprintln(out, paragraph(d.width, "In both modes the client dials the control connection. Who dials the data connection "+
		"depends on the mode. A firewall drops incoming connections, so it stops one mode and not the other."))
	for _, wall := range firewalls {
		fmt.Fprintln(out, paragraph(d.width, wall.title))
		d.behind.Store(wall)
		var pictures []string
		for _, run := range wall.runs {
			picture, err := d.fetch(run.mode, run.title, wall)
			if d.ctx.Err() != nil {
				return context.Cause(d.ctx)
			}
			if run.fails && err == nil {
				err = errors.New("the transfer passed the firewall")
			} else if run.fails {
				err = nil
			}
			if err != nil {
				return verb.At("in "+run.mode.String()+" mode", err)
			}
			pictures = append(pictures, paragraph(d.columns(), run.title)+picture)
		}
		d.print(out, pictures)
		fmt.Fprintln(out, paragraph(d.width, wall.cure))
	}
	fmt.Fprint(out, paragraph(d.width, "With firewalls on both sides, only opening the range of passive ports helps. The firewalls shown here are "+
		"functions in this process. docs/active-passive.md has the commands for real ones, and  miniftp doctor URL  finds out which one blocks a connection."))
	return nil
}

// dialPast returns the client's dialer. A firewall on the server's side drops its data connections.
func (d *demo) dialPast(wall *firewall) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if wall.at == ftp.ServerPI && addr != d.addr {
			return dropped(ctx)
		}
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, addr)
	}
}

// callBack is the server's dialer for active mode. A firewall on the client's side drops its
// connections.
func (d *demo) callBack(ctx context.Context, network, addr string) (net.Conn, error) {
	if wall := d.behind.Load(); wall != nil && wall.at == ftp.UserPI {
		return dropped(ctx)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, addr)
}

// dropped waits like a dial whose packets are dropped: it ends only with ctx.
func dropped(ctx context.Context) (net.Conn, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}
