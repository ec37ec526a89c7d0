// Package demo implements the verb demo, which fetches a file from a server in the same process, in
// both modes, and draws what happens.
//
// It is built on package explain and on the client and the server.
package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/watch"
	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/server"
)

const (
	demoFile    = "/report.pdf"
	demoMost    = 1 << 30 // bytes; the file is in memory
	sideBySide  = 150     // columns needed for two ladders
	betweenThem = 4       // columns between two ladders
	leastWidth  = 44      // columns needed for one ladder
)

// Command returns the verb demo.
func Command(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "demo", Usage: "see FTP's role reversal: one file, fetched in both modes",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "firewall", Usage: "show what a firewall at either end does to each mode"},
			&cli.IntFlag{Name: "file-size", Value: 2_100_000, Usage: "make the file `BYTES` long"},
			&cli.GenericFlag{Name: "explain", Value: new(explain.Word), Usage: "also write the drawing to `FILE`.svg or .html", DefaultText: "only here"},
			&cli.IntFlag{Name: "width", Usage: "draw `COLUMNS` wide; from 150 on, the ladders are side by side", DefaultText: "the terminal's"},
		},
		Description: flags.Examples("Runs a server and a client in this process, over a filesystem in memory, and draws both transfers.",
			"miniftp demo",
			"miniftp demo --firewall",
			"miniftp demo --file-size 100000000"),
		Action: func(c *cli.Context) error { return run(e, c) },
	}
}

func run(e *verb.Env, c *cli.Context) error {
	n, width := c.Int("file-size"), c.Int("width")
	if n < 0 || n > demoMost {
		return verb.Usagef("--file-size %d: must be from 0 to %d bytes", n, demoMost)
	}
	if !c.IsSet("width") {
		width = max(term.Width(e.Out), leastWidth)
	}
	if width < leastWidth {
		return verb.Usagef("--width %d: a ladder needs %d columns", width, leastWidth)
	}
	d := demo{ctx: c.Context, width: width, file: make([]byte, n)}
	var seed [32]byte
	_, _ = rand.NewChaCha8(seed).Read(d.file) // the same bytes each time; Read never fails
	stop, err := d.serve()
	if err != nil {
		return err
	}
	defer stop()
	if name := explain.PictureName(c); name != "" {
		d.picture = explain.NewPicture(name, "miniftp demo")
		e.AtEnd = append(e.AtEnd, d.picture.Save)
	}
	if c.Bool("firewall") {
		return d.showFirewalls(e.Out)
	}
	return d.show(e.Out)
}

// demo holds a server and the file that it serves.
type demo struct {
	picture *explain.Picture // may be nil
	ctx     context.Context
	width   int
	addr    string
	file    []byte

	behind atomic.Pointer[firewall] // the firewall in the way; nil for none
}

// serve starts the server. stop closes it.
func (d *demo) serve() (stop func(), err error) {
	files := fsroot.NewMem()
	if err := afero.WriteFile(files, demoFile, d.file, 0o644); err != nil {
		return nil, err
	}
	srv, err := server.New(server.Options{
		Listen: []string{"127.0.0.1:0"},
		Auth:   server.Static{"anonymous": {Anyone: true, Account: server.Account{FS: fsroot.ReadOnly(files), Perm: server.ReadOnly}}},
		Dial:   d.callBack,
		Log:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	ls, _, err := srv.ListenAll(d.ctx)
	if err != nil {
		return nil, err
	}
	d.addr = ls[0].Addr().String()
	ended := make(chan struct{})
	go func(l net.Listener) {
		defer close(ended)
		_ = srv.Serve(l) // it returns when stop closes the server
	}(ls[0])
	return func() {
		_ = srv.Close()
		<-ended
	}, nil
}

// The texts around the pictures.
var titles = map[ftp.DataMode]string{
	ftp.Passive: "Passive mode: the server listens for the data connection, the client dials it.",
	ftp.Active:  "Active mode: the client listens for the data connection, the server dials it.",
}

const (
	flipped = `What changes: which side listens and which dials for the data connection, and so which side announces an address: ` +
		`in passive mode the server, in its reply (229); in active mode the client, in its command (EPRT).`
	stayed = `What stays the same: the client dials the control connection, sends the commands and gets the replies, ` +
		`and the file goes from the server to the client.`
)

// show fetches the file in both modes and prints the drawings.
func (d *demo) show(out io.Writer) error {
	fmt.Fprintln(out, paragraph(d.width, fmt.Sprintf("A server and a client, both in this process, and a file of %s. "+
		"The client fetches it twice: in passive mode, then in active mode.", term.Size(int64(len(d.file))))))
	var pictures []string
	for _, mode := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		picture, err := d.fetch(mode, mode.String()+" mode", nil)
		pictures = append(pictures, paragraph(d.columns(), titles[mode])+picture)
		if err != nil {
			fmt.Fprint(out, strings.Join(pictures, "\n"))
			return verb.At("in "+mode.String()+" mode", err)
		}
	}
	d.print(out, pictures)
	fmt.Fprint(out, paragraph(d.width, flipped), paragraph(d.width, stayed), paragraph(d.width, fmt.Sprintf(
		"Both copies are identical to the server's file: %d bytes, SHA-256 %.8x...", len(d.file), sha256.Sum256(d.file))))
	return nil
}

// columns returns the width of one drawing.
func (d *demo) columns() int {
	if d.width < sideBySide {
		return d.width
	}
	return (d.width - betweenThem) / 2
}

// print prints two drawings, side by side if there is room.
func (d *demo) print(out io.Writer, pictures []string) {
	if d.width < sideBySide {
		fmt.Fprintln(out, strings.Join(pictures, "\n"))
		return
	}
	fmt.Fprintln(out, beside(pictures[0], pictures[1], d.columns()+betweenThem))
}

// fetch fetches the file in one mode, through a firewall if wall is not nil, and checks it. It
// returns the drawing of the transfer; heading is its title in a picture file.
func (d *demo) fetch(mode ftp.DataMode, heading string, wall *firewall) (picture string, err error) {
	var drawn, got bytes.Buffer
	see := watch.Observers{explain.NewLadder(&drawn, d.columns())}
	if d.picture != nil {
		d.picture.Heading(heading)
		see = append(see, d.picture.Ladder())
	}
	o := &client.Options{Mode: mode, Observer: see}
	if wall != nil {
		o.Timeout, o.Dial = dropTime, d.dialPast(wall)
	}
	cl, err := client.Dial(d.ctx, d.addr, o)
	if err != nil {
		return "", err
	}
	_, err = cl.Retrieve(d.ctx, demoFile, &got)
	_ = cl.Close() // the transfer has been confirmed
	if err == nil && !bytes.Equal(got.Bytes(), d.file) {
		err = &wrongCopy{client.TruncatedError{Want: int64(len(d.file)), Got: int64(got.Len())}}
	}
	return drawn.String(), err
}

// wrongCopy is returned for a file that was complete as far as the protocol can tell, but differs
// from the one that was sent. It has the exit code of wrong data.
type wrongCopy struct{ cause client.TruncatedError }

func (w *wrongCopy) Error() string { return "the copy differs from the server's file" }
func (w *wrongCopy) Unwrap() error { return &w.cause }

// paragraph wraps text to lines of at most 100 columns.
func paragraph(columns int, text string) string {
	return strings.Join(term.Wrap(text, min(columns, 100)), "\n") + "\n"
}

// beside places two drawings next to each other; the second begins at the given column.
func beside(a, b string, column int) string {
	left, right := strings.Split(strings.TrimRight(a, "\n"), "\n"), strings.Split(strings.TrimRight(b, "\n"), "\n")
	var both strings.Builder
	for i := range max(len(left), len(right)) {
		l, r := "", ""
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		both.WriteString(strings.TrimRight(term.Pad(l, column)+r, " ") + "\n")
	}
	return both.String()
}
