package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

func (e *env) serve() *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "serve a directory", ArgsUsage: "[ROOT]",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "listen", Usage: "listen on `ADDR`; repeatable, or with commas; :2121 is every address, IPv4 and IPv6", DefaultText: "127.0.0.1:2121"},
			&cli.StringSliceFlag{Name: "user", Usage: "let `NAME:PASSWORD[:PERM]` log in; repeatable; PERM is ro, rw (if it is missing) or drop (upload only)", DefaultText: "none"},
			&cli.StringFlag{Name: "anonymous", Usage: "what anyone may do, `MODE`: off, ro or rw", DefaultText: "ro without --user, else off"},
			&cli.StringFlag{Name: "passive-ports", Usage: "where to listen for data connections: `LO-HI`", DefaultText: "any free port"},
			&cli.StringFlag{Name: "public-ip", Usage: "the `IP|HOST` to announce in 227 replies, behind NAT", DefaultText: "the address that the client called"},
			&cli.IntFlag{Name: "max-sessions", Usage: "at most `N` sessions at once", DefaultText: "no limit"},
			&cli.IntFlag{Name: "max-sessions-per-ip", Usage: "at most `N` sessions at once from one address", DefaultText: "no limit"},
			&cli.DurationFlag{Name: "idle-timeout", Value: 5 * time.Minute, Usage: "end a session after `TIME` without a command"},
			&cli.DurationFlag{Name: "login-timeout", Value: time.Minute, Usage: "end a session that has not logged in within `TIME`"},
			&cli.DurationFlag{Name: "grace", Value: 10 * time.Second, Usage: "after a signal to stop, let transfers go on for `TIME`"},
			&cli.StringFlag{Name: "rate", Usage: "at most `BYTES` per second over all sessions, such as 500k or 2M", DefaultText: "no limit"},
			&cli.BoolFlag{Name: "upload-in-place", Usage: "write uploads to their final name at once, not to a hidden one first"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "log from `L` on: debug, info, warn or error"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "log as `F`: text or json (with -q nothing else is printed)"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show commands and replies, passwords masked"},
			&cli.BoolFlag{Name: "explain", Usage: "draw who listened, who dialed, and how the address travelled"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "log only what went wrong"},
		},
		Description: examples("Serves ROOT, a directory (this one if it is missing) or mem:// (a memory of its own), to this machine only, to anyone, read-only, until told otherwise.",
			"miniftp serve",
			"miniftp serve --listen :2121 --user alice:secret docs",
			"miniftp serve --user cam:secret:drop --passive-ports 40000-40100 mem://"),
		Action: e.runServe,
	}
}

func (e *env) runServe(c *cli.Context) error {
	if err := wantArgs(c, 0, 1); err != nil {
		return err
	}
	root := cmp.Or(c.Args().First(), ".")
	opts, err := serverOptions(c)
	if err != nil {
		return err
	}
	files, closer, err := fsroot.Open(root)
	if err != nil {
		return rootProblem(root, err)
	}
	defer closer.Close()
	who, err := users(c, files)
	if err != nil {
		return err
	}
	opts.Auth = who.static
	if opts.Log, opts.Observer, err = e.serverLog(c); err != nil {
		return err
	}
	srv, err := server.New(opts)
	if err != nil {
		return usagef("%s", strings.TrimPrefix(err.Error(), "server: "))
	}
	ls, err := srv.ListenAll(c.Context)
	if err != nil {
		return err
	}
	if !c.Bool("quiet") {
		fmt.Fprint(e.err, banner(root, files, who, ls))
	}
	return e.serveAll(c, srv, ls, opts.Grace)
}

// rootProblem is what is wrong with what is to be served: the directory, or the
// way it is written.
func rootProblem(root string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return localProblem(root, err)
	}
	return usagef("%v", err)
}

// serveAll serves until a signal comes, then lets transfers finish.
func (e *env) serveAll(c *cli.Context, srv *server.Server, ls []net.Listener, grace time.Duration) error {
	failed := make(chan error, len(ls))
	for _, l := range ls {
		go func() { failed <- srv.Serve(l) }()
	}
	select {
	case err := <-failed:
		_ = srv.Close()
		return err
	case <-c.Context.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), grace)
	defer cancel()
	wait := time.AfterFunc(200*time.Millisecond, func() {
		e.note("stopping: transfers may finish within %v; Ctrl-C again ends at once", grace)
	})
	defer wait.Stop()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close()
	}
	return errStopped
}

// errStopped is the end that was asked for: exit 0.
var errStopped = errors.New("stopped")

func serverOptions(c *cli.Context) (o server.Options, err error) {
	o = server.Options{
		PublicIP:    c.String("public-ip"),
		IdleTimeout: c.Duration("idle-timeout"), LoginTimeout: c.Duration("login-timeout"), Grace: c.Duration("grace"),
		MaxSessions: c.Int("max-sessions"), MaxSessionsPerIP: c.Int("max-sessions-per-ip"),
		UploadInPlace: c.Bool("upload-in-place"),
	}
	for _, name := range []string{"idle-timeout", "login-timeout", "grace"} {
		if c.Duration(name) <= 0 {
			return o, usagef("--%s %v: it must be longer than nothing", name, c.Duration(name))
		}
	}
	for _, name := range []string{"max-sessions", "max-sessions-per-ip"} {
		if c.Int(name) < 0 {
			return o, usagef("--%s %d: it can't be negative; 0 is no limit", name, c.Int(name))
		}
	}
	if o.Listen, err = listenAddrs(c.StringSlice("listen")); err != nil {
		return o, err
	}
	if o.PassivePorts, err = portRange("--passive-ports", c.String("passive-ports")); err != nil {
		return o, err
	}
	o.Rate, err = byteRate("--rate", c.String("rate"))
	return o, err
}

// listenAddrs are the values of --listen, taken apart at commas.
func listenAddrs(given []string) ([]string, error) {
	var all []string
	for _, g := range given {
		for a := range strings.SplitSeq(g, ",") {
			a = strings.TrimSpace(a)
			_, port, err := net.SplitHostPort(a)
			if err == nil {
				_, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
			}
			if err != nil || port == "" {
				return nil, usagef("--listen %q: an address is written as 127.0.0.1:2121, [::1]:2121 or :2121", g)
			}
			all = append(all, a)
		}
	}
	return all, nil
}

// admitted is who may log in, and how the banner says so.
type admitted struct {
	static server.Static
	users  []user
	anon   string // off, ro, rw
}

type user struct{ name, perm string }

var perms = map[string]server.Perm{"ro": server.ReadOnly, "rw": server.ReadWrite, "drop": server.DropBox}

func users(c *cli.Context, files afero.Fs) (a admitted, err error) {
	a = admitted{static: server.Static{}, anon: c.String("anonymous")}
	for _, u := range c.StringSlice("user") {
		name, rest, ok := strings.Cut(u, ":")
		perm := "rw"
		if i := strings.LastIndex(rest, ":"); i >= 0 {
			if _, known := perms[rest[i+1:]]; known {
				rest, perm = rest[:i], rest[i+1:]
			}
		}
		if !ok || name == "" || rest == "" {
			return a, usagef("--user takes NAME:PASSWORD or NAME:PASSWORD:PERM with PERM ro, rw or drop")
		}
		if _, twice := a.static[name]; twice {
			return a, usagef("--user %s is given twice", ftp.Printable(name))
		}
		a.static[name] = server.User{Password: rest, Account: account(files, perm)}
		a.users = append(a.users, user{name, perm})
	}
	if a.anon == "" {
		a.anon = "ro"
		if len(a.static) > 0 {
			a.anon = "off"
		}
	}
	switch a.anon {
	case "off":
		if len(a.static) == 0 {
			return a, usagef("--anonymous off without a --user: nobody could log in")
		}
	case "ro", "rw":
		if _, twice := a.static["anonymous"]; twice {
			return a, usagef("--user anonymous and --anonymous %s exclude each other", a.anon)
		}
		a.static["anonymous"] = server.User{Anyone: true, Account: account(files, a.anon)}
	default:
		return a, usagef("--anonymous %q: it is off, ro or rw", a.anon)
	}
	return a, nil
}

// account is a view of the files: where nothing may be written, nothing can be.
func account(files afero.Fs, perm string) server.Account {
	if perm == "ro" {
		files = fsroot.ReadOnly(files)
	}
	return server.Account{FS: files, Perm: perms[perm]}
}

// logLevels are the words of --log-level.
var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
