// Package watch makes the observers that the flags --verbose, --explain and --record ask for.
//
// It must not depend on connections.
package watch

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/record"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Observers is an observer that passes each event to several observers.
type Observers []ftp.Observer

// Observe passes e to each observer.
func (o Observers) Observe(e ftp.Event) {
	for _, one := range o {
		one.Observe(e)
	}
}

// Observer returns the observer of all connections of a run that the flags of a client verb ask for, or nil if
// they ask for none. It makes it at the first call of a run; later calls return the same one.
func Observer(e *verb.Env, c *cli.Context, proxy string) (ftp.Observer, error) {
	if e.Watched {
		return e.Watching, nil
	}
	var see Observers
	if c.Bool("verbose") {
		see = append(see, WireLog(e.ErrWriter()))
	}
	if c.Bool("explain") {
		l := explain.NewLadder(e.ErrWriter(), term.Width(e.Err))
		l.Proxy = proxy
		see = append(see, l)
	}
	if name := explain.PictureName(c); name != "" {
		l := explain.NewPicture(name, e.CommandLine()).Ladder()
		l.Proxy = proxy
		e.AtEnd = append(e.AtEnd, l.Page.Save)
		see = append(see, l)
	}
	if name := c.String("record"); name != "" {
		rec, err := record.New(e, name)
		if err != nil {
			return nil, err
		}
		see = append(see, rec)
	}
	e.Watched = true
	if len(see) > 0 {
		e.Watching = see
	}
	return e.Watching, nil
}

// WireLog returns an observer that writes commands and replies to w: "> " to the server, "< " from it. Secrets
// are masked, and control characters are shown as "?". The lines of a client's second connection begin with [2],
// and so on.
func WireLog(w io.Writer) ftp.Observer {
	var mu sync.Mutex
	var open []uint64 // IDs of control connections, 0 where one has ended
	return ftp.ObserverFunc(func(e ftp.Event) {
		mu.Lock()
		defer mu.Unlock()
		tag := ""
		if e.Control.Side == ftp.ServerPI {
			tag = "[" + strconv.FormatUint(e.Control.ID, 10) + "] "
		} else {
			n := slices.Index(open, e.Control.ID)
			if n < 0 {
				if n = slices.Index(open, 0); n < 0 {
					n, open = len(open), append(open, 0)
				}
				open[n] = e.Control.ID
			}
			if n > 0 {
				tag = "[" + strconv.Itoa(n+1) + "] "
			}
			if _, ended := e.What.(ftp.ControlClosed); ended {
				open[n] = 0
			}
		}
		switch h := e.What.(type) {
		case ftp.CommandGiven:
			fmt.Fprintf(w, "%s> %s\n", tag, ftp.Printable(h.Command.String()))
		case ftp.ReplyGiven:
			last := len(h.Reply.Lines) - 1
			for i, line := range h.Reply.Lines {
				mark := "-"
				if i == last {
					mark = " "
				}
				fmt.Fprintf(w, "%s< %03d%s%s\n", tag, int(h.Reply.Code), mark, ftp.Printable(line))
			}
		}
	})
}
