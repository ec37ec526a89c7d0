package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

func configCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "check a configuration of serve, or show what holds", ArgsUsage: "check|show",
		Description: examples("A configuration file says in TOML what the flags of serve say. A flag beats the environment, that the file, and that the default.",
			"miniftp config check miniftp.toml",
			"miniftp config show --config miniftp.toml",
			"miniftp serve --config miniftp.toml"),
		Subcommands: []*cli.Command{
			{
				Name: "check", Usage: "find what is wrong with a configuration file", ArgsUsage: "FILE",
				Flags: []cli.Flag{&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only errors"}},
				Description: examples("Reads the file as serve would, with the directories, certificates and users that it names, and serves nothing. Each mistake is a line with its place.",
					"miniftp config check miniftp.toml",
					"miniftp config check -q /etc/miniftp/miniftp.toml && systemctl reload miniftp"),
				Action: e.runConfigCheck,
			},
			{
				Name: "show", Usage: "print each setting of serve, and where it is from", ArgsUsage: "[ROOT]",
				Flags: append(serveFlags(), &cli.BoolFlag{Name: "json", Usage: "print it as JSON"}),
				Description: examples("Takes the flags of serve, and the same environment. Passwords are not shown.",
					"miniftp config show",
					"miniftp config show --config miniftp.toml --max-sessions 10",
					"miniftp config show --config miniftp.toml --json"),
				Action: e.runConfigShow,
			},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usagef("miniftp config has no verb %q%s: it is check or show", maskPassword(c.Args().First()),
					didYouMean(nearest(c.Args().First(), verbNames(c.Command.Subcommands))))
			}
			return usagef("miniftp config takes check or show; miniftp config --help shows examples")
		},
	}
}

func (e *env) runConfigCheck(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	name := c.Args().First()
	cf := newConfig(nil, name)
	cf.trial = true
	roots := newRoots(c.Context)
	defer roots.end()
	opts, certs := cf.prepare(roots)
	if err := e.sayProblems(cf); err != nil {
		return err
	}
	if _, err := server.New(opts); err != nil {
		return usagef("%s: %s", ftp.Printable(name), strings.TrimPrefix(err.Error(), "server: "))
	}
	for _, w := range cf.warnings {
		e.note("%s", w)
	}
	if c.Bool("quiet") {
		return nil
	}
	listen := append(opts.Listen, opts.ListenTLS...)
	if len(listen) == 0 {
		listen = []string{"127.0.0.1:2121"}
	}
	tls := "no TLS"
	switch {
	case certs != nil && opts.TLSRequired:
		tls = "TLS is required"
	case certs != nil:
		tls = "TLS is optional"
	}
	_, err := fmt.Fprintf(e.out, "%s is fine: serves %s on %s; %s; %s\n", ftp.Printable(name), ftp.Printable(cf.served()), strings.Join(listen, ", "), tls, cf.describe())
	return err
}

func isRegular(name string) bool {
	fi, err := os.Stat(name)
	return err == nil && fi.Mode().IsRegular()
}

func (e *env) runConfigShow(c *cli.Context) error {
	if err := wantArgs(c, 0, 1); err != nil {
		return err
	}
	if root := c.Args().First(); c.String("config") == "" && isRegular(root) {
		return usagef("%s is a file, and config show takes the directory to serve; to read it as a configuration:  miniftp config show --config %s",
			ftp.Printable(root), shellWord(root))
	}
	cf := newConfig(c, c.String("config"))
	if len(cf.problems) == 0 || cf.file != nil {
		cf.options()
	}
	if err := e.sayProblems(cf); err != nil {
		return err
	}
	all := cf.allSettings()
	if c.Bool("json") {
		enc := json.NewEncoder(e.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	key, text := 0, 0
	for _, s := range all {
		key = max(key, cells(s.Key))
		text = max(text, min(cells(shown(s)), 36))
	}
	for _, s := range all {
		fmt.Fprintf(e.out, "%s  %s  %s\n", pad(s.Key, key), pad(shown(s), text), s.From)
	}
	return nil
}

// allSettings are all that holds, in the order of the file. Passwords are masked.
func (cf *config) allSettings() []setting {
	root := cf.setting("root")
	root.Value = maskPassword(cf.str("root"))
	all := []setting{root}
	for _, g := range serveGroups() {
		for _, f := range g.flags {
			one := cf.setting(f.Names()[0])
			if d, ok := f.(cli.DocGenerationFlag); ok && one.From == "default" && one.Key != "listen" {
				one.otherwise = d.GetDefaultText()
			}
			all = append(all, one)
		}
	}
	for _, a := range cf.users {
		add := func(key string, v any) {
			all = append(all, setting{Key: "users." + quotedKey(a.name) + "." + key, Value: v, From: cf.userFrom(a, key)})
		}
		if a.anyone {
			add("password", "any")
		} else if a.password != "" {
			add("password", "****")
		}
		add("perm", a.may())
		add("root", maskPassword(cf.rootOf(a)))
		for _, x := range []struct {
			key string
			v   any
			set bool
		}{
			{"home", a.home, a.home != ""},
			{"rate-down", a.down, a.down > 0},
			{"rate-up", a.up, a.up > 0},
			{"max-sessions", a.sessions, a.sessions > 0},
			{"networks", prefixes(a), len(a.networks) > 0},
		} {
			if x.set {
				add(x.key, x.v)
			}
		}
	}
	return all
}

func prefixes(a *account) []string {
	var all []string
	for _, n := range a.networks {
		all = append(all, n.String())
	}
	return all
}

// shown is a value on a terminal.
func shown(s setting) string {
	if s.otherwise == "" {
		s.otherwise = "none"
	}
	switch v := s.Value.(type) {
	case []string:
		if len(v) > 0 {
			return ftp.Printable(strings.Join(v, ", "))
		}
	case string:
		if v != "" {
			return ftp.Printable(v)
		}
	case int:
		if v != 0 || s.otherwise == "none" {
			return strconv.Itoa(v)
		}
	default:
		return fmt.Sprint(v)
	}
	return s.otherwise
}
