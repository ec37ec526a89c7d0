// Command miniftp is an FTP server and client. Run it without arguments for
// what it can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// verbs are what the first word of a command line may be.
var verbs = []verb{
	serveCommand, configCommand, passwdCommand,
	getCommand, putCommand, mirrorCommand, copyCommand, shellCommand,
	lsCommand, catCommand, statCommand, rmCommand, mkdirCommand, mvCommand, chmodCommand, hashCommand,
	doctorCommand, benchCommand, demoCommand, completionCommand, manCommand,
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endings(os.Args)...)
	go func() {
		<-signals
		cancel()
		<-signals // the second one does not wait for anything
		os.Exit(exitInterrupted)
	}()
	os.Exit(run(ctx, verbs, os.Args, stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// endings returns the signals that end a command line, so that it can remove what it would
// leave behind: an interrupt, SIGTERM and SIGHUP, which is a terminal that was closed. To
// serve, SIGHUP is the order to read its configuration again.
func endings(args []string) []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	verb := ""
	if len(args) > 1 {
		verb = args[1]
	}
	if verb != "serve" && !signal.Ignored(syscall.SIGHUP) { // nohup has it ignored
		all = append(all, syscall.SIGHUP)
	}
	if verb == "bench" { // of others, SIGQUIT prints what they are at
		all = append(all, syscall.SIGQUIT)
	}
	return all
}
