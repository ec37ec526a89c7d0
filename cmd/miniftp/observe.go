package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
)

// observers passes events on to several.
type observers []ftp.Observer

func (o observers) Observe(e ftp.Event) {
	for _, one := range o {
		one.Observe(e)
	}
}

// watch is who is told what happens, as the flags of a client verb have it; nil:
// nobody. All connections of a run tell the same.
func (e *env) watch(c *cli.Context, proxy string) (ftp.Observer, error) {
	if e.watched {
		return e.watching, nil
	}
	var see observers
	if c.Bool("verbose") {
		see = append(see, wireLog(errWriter{e}))
	}
	if c.Bool("explain") {
		l := newLadder(errWriter{e}, terminalWidth(e.err))
		l.proxy = proxy
		see = append(see, l)
	}
	if name := pictureName(c); name != "" {
		l := newLadder(io.Discard, pictureColumns)
		l.proxy = proxy
		l.page = newPicture(name, strings.Join(maskedWords(e.raw), " "))
		e.atEnd = append(e.atEnd, l.page.save)
		see = append(see, l)
	}
	if name := c.String("record"); name != "" {
		rec, err := newRecorder(e, name)
		if err != nil {
			return nil, err
		}
		see = append(see, rec)
	}
	e.watched = true
	if len(see) > 0 {
		e.watching = see
	}
	return e.watching, nil
}

// wireLog writes commands and replies as they go over the wire: "> " to the
// server, "< " from it. Secrets are masked, control characters shown as "?". The lines of a
// client's second connection begin with [2], and so on.
func wireLog(w io.Writer) ftp.Observer {
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
