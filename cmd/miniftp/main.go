// Command miniftp is an FTP server and client. Run it without arguments for
// what it can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"miniftp/cmd/miniftp/internal/bench"
	"miniftp/cmd/miniftp/internal/copy"
	"miniftp/cmd/miniftp/internal/demo"
	"miniftp/cmd/miniftp/internal/docs"
	"miniftp/cmd/miniftp/internal/doctor"
	"miniftp/cmd/miniftp/internal/files"
	"miniftp/cmd/miniftp/internal/mirror"
	"miniftp/cmd/miniftp/internal/passwd"
	"miniftp/cmd/miniftp/internal/serve"
	"miniftp/cmd/miniftp/internal/shell"
	"miniftp/cmd/miniftp/internal/transfer"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// verbs are what the first word of a command line may be.
var verbs = []verb.Verb{
	serve.Command, serve.Config, passwd.Command,
	transfer.Get, transfer.Put, mirror.Command, copy.Command, shell.Command,
	files.Ls, files.Cat, files.Stat, files.Rm, files.Mkdir, files.Mv, files.Chmod, files.Hash,
	doctor.Command, bench.Command, demo.Command, docs.Completion, docs.Man,
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endings(os.Args)...)
	go func() {
		<-signals
		cancel()
		<-signals // the second one does not wait for anything
		os.Exit(verb.ExitInterrupted)
	}()
	flags.ReleaseStart() // what the packages began with
	os.Exit(flags.Run(ctx, verbs, os.Args, verb.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
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
