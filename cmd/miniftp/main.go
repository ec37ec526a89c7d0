// Command miniftp is an FTP server and client. Run it without arguments to see what it can do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"miniftp/cmd/miniftp/internal/admin"
	"miniftp/cmd/miniftp/internal/bench"
	"miniftp/cmd/miniftp/internal/copy"
	"miniftp/cmd/miniftp/internal/demo"
	"miniftp/cmd/miniftp/internal/docs"
	"miniftp/cmd/miniftp/internal/doctor"
	"miniftp/cmd/miniftp/internal/files"
	"miniftp/cmd/miniftp/internal/mirror"
	"miniftp/cmd/miniftp/internal/passwd"
	"miniftp/cmd/miniftp/internal/resident"
	"miniftp/cmd/miniftp/internal/serve"
	"miniftp/cmd/miniftp/internal/shell"
	"miniftp/cmd/miniftp/internal/transfer"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/internal/calm"
)

// verbs holds all verbs. The first word of a command line names one of them.
var verbs = []verb.Verb{
	serve.Command, serve.Config, passwd.Command,
	admin.Who, admin.Top, admin.Kick, admin.Drain, admin.Reload, admin.Ban, admin.Events,
	transfer.Get, transfer.Put, mirror.Command, copy.Command, shell.Command,
	files.Ls, files.Cat, files.Stat, files.Rm, files.Mkdir, files.Mv, files.Chmod, files.Hash,
	doctor.Command, bench.Command, demo.Command, docs.Completion, docs.Man,
}

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endingSignals(os.Args)...)
	go func() {
		<-signals
		cancel()
		<-signals // a second signal ends the program at once
		os.Exit(verb.ExitInterrupted)
	}()
	calm.Enable()
	resident.Release() // memory of package initialization
	os.Exit(flags.Run(ctx, verbs, os.Args, verb.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

// endingSignals returns the signals that cancel a command line, so that it can clean up: interrupt,
// SIGTERM, and SIGHUP, which is sent when the terminal is closed. For serve, SIGHUP means to reload
// the configuration.
func endingSignals(args []string) []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	name := ""
	if len(args) > 1 {
		name = args[1]
	}
	if name != "serve" && !signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		all = append(all, syscall.SIGHUP)
	}
	if name == "bench" { // bench cleans up on SIGQUIT; other verbs print their goroutines
		all = append(all, syscall.SIGQUIT)
	}
	return all
}
