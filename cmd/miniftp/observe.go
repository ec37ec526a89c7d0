package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"golang.org/x/term"

	"miniftp/ftp"
)

// observers passes events on to several.
type observers []ftp.Observer

func (o observers) Observe(e ftp.Event) {
	for _, one := range o {
		one.Observe(e)
	}
}

// wireLog writes commands and replies as they go over the wire: "> " to the
// server, "< " from it. Secrets are masked, control characters shown as "?".
func wireLog(w io.Writer) ftp.Observer {
	var mu sync.Mutex
	return ftp.ObserverFunc(func(e ftp.Event) {
		mu.Lock()
		defer mu.Unlock()
		tag := ""
		if e.Control.Side == ftp.ServerPI {
			tag = "[" + strconv.FormatUint(e.Control.ID, 10) + "] "
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

// file is the file behind a stream of the process, if it is one.
func file(w any) (*os.File, bool) {
	if o, ok := w.(*output); ok {
		w = o.w
	}
	f, ok := w.(*os.File)
	return f, ok
}

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := file(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth is the number of columns to draw in; 80 where nothing tells.
func terminalWidth(w any) int {
	if f, ok := file(w); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return 80
}
