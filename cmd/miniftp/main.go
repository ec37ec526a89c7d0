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
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals // the second one does not wait for anything
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, os.Args, stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// stdio is what a verb reads and writes: data goes to out, all else to err.
type stdio struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}
