package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

func (e *env) serve() *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "serve a directory", ArgsUsage: "[ROOT]",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "listen", Usage: "the `ADDR` to listen on; repeatable; :2121 is every address, IPv4 and IPv6", DefaultText: "127.0.0.1:2121"},
			&cli.StringSliceFlag{Name: "user", Usage: "`NAME:PASSWORD[:PERM]`, repeatable; PERM is ro, rw (default) or drop (upload only)", DefaultText: "none"},
			&cli.StringFlag{Name: "anonymous", Usage: "`MODE`: off, ro or rw", DefaultText: "ro without --user, else off"},
			&cli.StringFlag{Name: "passive-ports", Usage: "`LO-HI`: where to listen for data connections", DefaultText: "any free port"},
			&cli.StringFlag{Name: "public-ip", Usage: "the `IP|HOST` to announce in 227 replies, behind NAT", DefaultText: "the address that the client called"},
			&cli.IntFlag{Name: "max-sessions", Usage: "sessions at once", DefaultText: "no limit"},
			&cli.IntFlag{Name: "max-sessions-per-ip", Usage: "sessions at once from one address", DefaultText: "no limit"},
			&cli.DurationFlag{Name: "idle-timeout", Value: 5 * time.Minute, Usage: "end a session after so long without a command"},
			&cli.DurationFlag{Name: "login-timeout", Value: time.Minute, Usage: "end a session that has not logged in by then"},
			&cli.DurationFlag{Name: "grace", Value: 10 * time.Second, Usage: "how long transfers may go on after a signal to stop"},
			&cli.StringFlag{Name: "rate", Usage: "`BYTES` per second at most over all sessions, such as 500k or 2M", DefaultText: "no limit"},
			&cli.BoolFlag{Name: "upload-in-place", Usage: "write uploads to their final name at once, not to a hidden one"},
			&cli.StringFlag{Name: "log-level", Value: "info", Usage: "`L`: debug, info, warn or error"},
			&cli.StringFlag{Name: "log-format", Value: "text", Usage: "text or json"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show commands and replies, passwords masked"},
			&cli.BoolFlag{Name: "explain", Usage: "draw who listened, who dialed, and how the address travelled"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "log only what went wrong"},
		},
		Description: examples("Serves ROOT (default: this directory; mem:// is a memory of its own) to this machine only, read-only,\nto anyone, until told otherwise.",
			"miniftp serve",
			"miniftp serve --listen :2121 --user alice:secret /srv/files",
			"miniftp serve --user cam:secret:drop --passive-ports 40000-40100 mem://"),
		Action: e.runServe,
	}
}

func (e *env) runServe(c *cli.Context) error {
	if err := wantArgs(c, 0, 1); err != nil {
		return err
	}
	root := max(c.Args().First(), ".")
	files, closer, err := fsroot.Open(root)
	if err != nil {
		return localProblem(root, err)
	}
	defer closer.Close()
	opts, err := serverOptions(c)
	if err != nil {
		return err
	}
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
	e.stop() // a second signal ends at once
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context), grace)
	defer cancel()
	if !c.Bool("quiet") {
		fmt.Fprintln(e.err, "miniftp: stopping; transfers may finish within", grace)
	}
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close()
	}
	return errStopped
}

// errStopped is the end that was asked for: exit 0.
var errStopped = errors.New("stopped")

func serverOptions(c *cli.Context) (o server.Options, err error) {
	o = server.Options{
		Listen: c.StringSlice("listen"), PublicIP: c.String("public-ip"),
		IdleTimeout: c.Duration("idle-timeout"), LoginTimeout: c.Duration("login-timeout"), Grace: c.Duration("grace"),
		MaxSessions: c.Int("max-sessions"), MaxSessionsPerIP: c.Int("max-sessions-per-ip"),
		UploadInPlace: c.Bool("upload-in-place"),
	}
	for _, name := range []string{"idle-timeout", "login-timeout"} {
		if c.Duration(name) <= 0 {
			return o, usagef("--%s %v: it must be longer than nothing", name, c.Duration(name))
		}
	}
	for _, a := range o.Listen {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return o, usagef("--listen %q: an address is written as 127.0.0.1:2121, [::1]:2121 or :2121", a)
		}
	}
	if o.PassivePorts, err = portRange("--passive-ports", c.String("passive-ports")); err != nil {
		return o, err
	}
	o.Rate, err = byteRate("--rate", c.String("rate"))
	return o, err
}

// admitted is who may log in, and how the banner says so.
type admitted struct {
	static server.Static
	names  []string
	anon   string // off, ro, rw
}

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
			return a, usagef("--user %s is given twice", name)
		}
		a.static[name] = server.User{Password: rest, Account: account(files, perm)}
		a.names = append(a.names, name+" ("+perm+")")
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

// banner says what is served, to whom, at which URL, and what a neighbour would type.
func banner(root string, files afero.Fs, who admitted, ls []net.Listener) string {
	var b strings.Builder
	fmt.Fprintf(&b, "miniftp serves %-18s %s\n", root, who.describe())
	first := ""
	for _, l := range ls {
		u, reach := listenerURL(l)
		fmt.Fprintf(&b, "  %-30s %s\n", u, reach)
		if first == "" {
			first = u
		}
	}
	login := ""
	if who.anon == "off" {
		name, _, _ := strings.Cut(who.names[0], " ")
		login = name + "@"
	}
	url := strings.Replace(first, "ftp://", "ftp://"+login, 1) + sample(files)
	curl, get := "  curl -O "+url, "  miniftp get "+url
	if strings.HasSuffix(url, "/") {
		curl, get = "  curl "+url, "  miniftp ls "+url
	}
	fmt.Fprintf(&b, "fetch from it:\n%s\n%s\nCtrl-C stops.\n", curl, get)
	return b.String()
}

func (a admitted) describe() string {
	anyone := map[string]string{"ro": "anyone may read, nobody may write", "rw": "anyone may read and write", "off": ""}[a.anon]
	if len(a.names) == 0 {
		return anyone
	}
	if a.anon == "ro" {
		anyone = "anyone may read"
	}
	s := "users: " + strings.Join(a.names, ", ")
	if anyone != "" {
		s += "; " + anyone
	}
	return s
}

func listenerURL(l net.Listener) (url, reach string) {
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return "ftp://" + l.Addr().String() + "/", ""
	}
	host := addr.Addr()
	switch {
	case host.IsLoopback():
		return "ftp://" + addr.String() + "/", fmt.Sprintf("this machine only (--listen :%d opens it to the network)", addr.Port())
	case host.IsUnspecified():
		return fmt.Sprintf("ftp://%s:%d/", hostName(), addr.Port()), "every network that reaches this machine"
	}
	return "ftp://" + addr.String() + "/", "whoever reaches that address"
}

func hostName() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "127.0.0.1"
}

// sample is a file that is there, for the command to show.
func sample(files afero.Fs) string {
	d, err := files.Open("/")
	if err != nil {
		return ""
	}
	defer d.Close()
	infos, _ := d.Readdir(200)
	name := ""
	for _, fi := range infos {
		if !fi.Mode().IsRegular() || strings.HasPrefix(fi.Name(), ".") {
			continue
		}
		if name == "" || strings.EqualFold(fi.Name(), "README.md") {
			name = fi.Name()
		}
	}
	return escape(name)
}

// logLevels are the words of --log-level.
var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
