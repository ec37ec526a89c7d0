package serve

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// Config returns the verb config, which checks and shows the settings of serve.
func Config(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "check or show the settings of serve", ArgsUsage: "check|show",
		Description: flags.Examples("A configuration file, in TOML, can set all that the flags of serve can. Flags override environment variables, which override the file, which overrides the defaults.",
			"miniftp config check miniftp.toml",
			"miniftp config show --config miniftp.toml",
			"miniftp serve --config miniftp.toml"),
		Subcommands: []*cli.Command{
			{
				Name: "check", Usage: "find mistakes in a configuration file", ArgsUsage: "FILE",
				Flags: []cli.Flag{&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only errors"}},
				Description: flags.Examples("Checks the file and the directories, certificates and users that it names, as serve would, but serves nothing and writes nothing. Prints one line for each mistake, with its line number.",
					"miniftp config check miniftp.toml",
					"miniftp config check -q /etc/miniftp/miniftp.toml && systemctl reload miniftp"),
				Action: func(c *cli.Context) error { return runConfigCheck(e, c) },
			},
			{
				Name: "show", Usage: "print each setting of serve and where it comes from", ArgsUsage: "[ROOT]",
				Flags: append(settings.Flags(), &cli.BoolFlag{Name: "json", Usage: "print JSON"}),
				Description: flags.Examples("Takes the flags of serve and reads the same environment variables. Passwords are not shown.",
					"miniftp config show",
					"miniftp config show --config miniftp.toml --max-sessions 10",
					"miniftp config show --config miniftp.toml --json"),
				Action: func(c *cli.Context) error { return runConfigShow(e, c) },
			},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return verb.Usagef("miniftp config has no verb %q%s: use check or show", ftp.MaskURL(c.Args().First()),
					verb.DidYouMean(verb.Nearest(c.Args().First(), flags.VerbNames(c.Command.Subcommands))))
			}
			return verb.Usagef("miniftp config needs check or show; see miniftp config --help")
		},
	}
}

func runConfigCheck(e *verb.Env, c *cli.Context) error {
	name := c.Args().First()
	cf := &config{Config: settings.FromFile(name), trial: true}
	roots := newRoots(c.Context)
	defer roots.end()
	opts, certs := cf.prepare(roots)
	if err := cf.Report(e); err != nil {
		return err
	}
	if _, err := server.New(opts); err != nil {
		return verb.Usagef("%s: %s", ftp.Printable(name), strings.TrimPrefix(err.Error(), "server: "))
	}
	for _, w := range cf.Warnings {
		e.Note("%s", w)
	}
	if c.Bool("quiet") {
		return nil
	}
	listen := append(opts.Listen, opts.ListenTLS...)
	if len(listen) == 0 {
		listen = []string{"127.0.0.1:2121"}
	}
	tls := "TLS is off"
	switch {
	case certs != nil && opts.TLSRequired:
		tls = "TLS is required"
	case certs != nil:
		tls = "TLS is optional"
	}
	_, err := fmt.Fprintf(e.Out, "%s is valid: serves %s on %s; %s; %s\n", ftp.Printable(name), ftp.Printable(cf.served()), strings.Join(listen, ", "), tls, cf.describe())
	return err
}

func isRegular(name string) bool {
	fi, err := os.Stat(name)
	return err == nil && fi.Mode().IsRegular()
}

func runConfigShow(e *verb.Env, c *cli.Context) error {
	cf := &config{Config: settings.New(c)}
	if root := c.Args().First(); cf.Path == "" && isRegular(root) {
		return verb.Usagef("%s is a file, but the argument of config show is the directory to serve; to show a configuration file:  miniftp config show --config %s",
			ftp.Printable(root), verb.ShellWord(root))
	}
	if !cf.Unreadable() {
		cf.options()
	}
	if err := cf.Report(e); err != nil {
		return err
	}
	all := cf.Show()
	if c.Bool("json") {
		enc := json.NewEncoder(e.Out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	key, text := 0, 0
	for _, s := range all {
		key = max(key, term.Cells(s.Key))
		text = max(text, min(term.Cells(shown(s)), 36))
	}
	for _, s := range all {
		fmt.Fprintf(e.Out, "%s  %s  %s\n", term.Pad(s.Key, key), term.Pad(shown(s), text), s.From)
	}
	return nil
}

// shown returns the value of a setting as text, or what having no value means.
func shown(s settings.Shown) string {
	if s.Otherwise == "" {
		s.Otherwise = "none"
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
		if v != 0 || s.Otherwise == "none" {
			return strconv.Itoa(v)
		}
	default:
		return fmt.Sprint(v)
	}
	return s.Otherwise
}
