package shell

import (
	"bytes"
	"io"
	"strings"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// columns collects the names that ls prints on a terminal, to print them in columns.
type columns struct {
	bytes.Buffer
	over bool // there is too much to collect: Write passes it on
	to   io.Writer
}

// mostInColumns bounds the bytes that are collected.
const mostInColumns = 1 << 20

func (c *columns) Write(p []byte) (int, error) {
	if !c.over && c.Len()+len(p) > mostInColumns {
		c.over = true
		if _, err := c.WriteTo(c.to); err != nil {
			return 0, err
		}
	}
	if c.over {
		return c.to.Write(p)
	}
	return c.Buffer.Write(p)
}

// columns returns the writer that collects the names of a plain ls, or nil if they go straight to out.
func (s *session) columns(l *call, out *verb.Output) *columns {
	if l.verb.cli != "ls" || s.tty == nil || l.background || !term.IsTerminal(out) || s.c.Bool("json") {
		return nil
	}
	for _, f := range l.flags {
		switch f {
		case "-l", "--long", "--json":
			return nil
		}
	}
	return &columns{to: out}
}

// print prints the collected names in columns.
func (c *columns) print(out *verb.Output) {
	var names []string
	for line := range strings.Lines(c.String()) {
		names = append(names, ftp.Printable(strings.TrimRight(line, "\n")))
	}
	_, _ = io.WriteString(out, inColumns(names, term.Width(out))) // out keeps the error
}

// inColumns arranges names in columns of equal width, in the order from top to bottom.
func inColumns(names []string, width int) string {
	widest := 0
	for _, name := range names {
		widest = max(widest, term.Cells(name))
	}
	const between = 2
	cols := max((width+between)/(widest+between), 1)
	rows := (len(names) + cols - 1) / cols
	var b strings.Builder
	for row := range rows {
		for i := row; i < len(names); i += rows {
			if i+rows < len(names) {
				b.WriteString(term.Pad(names[i], widest+between))
			} else {
				b.WriteString(names[i])
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
