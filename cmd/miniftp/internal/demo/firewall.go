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
// enough to be noticed, short enough to be waited for.
const dropTime = time.Second

// firewall is a firewall at one end of the connection. It lets calls out and drops those that come
// in, as a network does that answers nothing: the caller waits until its time is over.
type firewall struct {
	at    ftp.Side
	title string
	runs  []throughWall
	cure  string // what to do
}

// throughWall is a transfer past a firewall.
type throughWall struct {
	mode  ftp.DataMode
	fails bool
	title string
}

var firewalls = []*firewall{
	{
		at:    ftp.UserPI,
		title: "1. A firewall or NAT at the client's end, as in most homes and offices, drops every call from outside.",
		runs: []throughWall{
			{ftp.Active, true, "Active mode fails: the server's call to the client is dropped."},
			{ftp.Passive, false, "Passive mode works: the client makes both calls."},
		},
		cure: "What to do: use passive mode. It is the default of miniftp and of most clients.",
	},
	{
		at:    ftp.ServerPI,
		title: "2. A firewall at the server's end admits calls to the control port and drops all others.",
		runs: []throughWall{
			{ftp.Passive, true, "Passive mode fails: the client's call to the data port is dropped."},
			{ftp.Active, false, "Active mode works: the server makes the call for the data."},
		},
		cure: "What to do: the server's admin gives the server a range of passive ports and opens the same range in the firewall " +
			"(miniftp serve --passive-ports 40000-40100). Then passive mode works for all clients. Active mode works only for " +
			"clients without a firewall of their own.",
	},
}

// showFirewalls fetches the file in both modes past each firewall, first in the mode that fails.
func (d *demo) showFirewalls(out io.Writer) error {
	fmt.Fprintln(out, paragraph(d.width, "In both modes the client dials the control connection. Who dials the data connection "+
		"depends on the mode. A firewall stops the calls that come in, so it stops one mode and not the other."))
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
	fmt.Fprint(out, paragraph(d.width, "With firewalls at both ends, only opening the range of passive ports helps. The firewalls shown here are "+
		"functions in this process. docs/active-passive.md has the commands for real ones, and miniftp doctor URL finds out which one is in the way."))
	return nil
}

// dialPast returns the client's dialer. Its calls to data ports are dropped by a firewall at the
// server's end.
func (d *demo) dialPast(wall *firewall) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if wall.at == ftp.ServerPI && addr != d.addr {
			return dropped(ctx)
		}
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, addr)
	}
}

// callBack is the server's dialer for active mode. Its calls are dropped by a firewall at the client's end.
func (d *demo) callBack(ctx context.Context, network, addr string) (net.Conn, error) {
	if wall := d.behind.Load(); wall != nil && wall.at == ftp.UserPI {
		return dropped(ctx)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, addr)
}

// dropped is a call whose packets a firewall drops: nothing comes back.
func dropped(ctx context.Context) (net.Conn, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}
