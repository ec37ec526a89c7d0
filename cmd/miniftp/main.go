// Command miniftp is an FTP server and client. Run it without arguments for
// what it can do.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, stop, os.Args, stdio{os.Stdin, os.Stdout, os.Stderr})
	os.Exit(code)
}

// stdio is what a verb reads and writes: data goes to out, all else to err.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}
