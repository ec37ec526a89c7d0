package files

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp/client"
)

func Cat(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "cat", Usage: "print files", ArgsUsage: "URL...", Flags: connect.Flags(),
		Description: flags.Examples("Writes files to standard output, as they are.",
			"miniftp cat ftp://127.0.0.1:2121/README.md",
			"miniftp cat 'ftp://127.0.0.1:2121/*.md' | wc -l"),
		Action: func(c *cli.Context) error {
			if err := verb.WantArgs(c, 1, -1); err != nil {
				return err
			}
			if c.Bool("json") {
				return verb.Usagef("cat prints the files themselves: --json does not go with it")
			}
			return connect.EachURL(e, c, c.Args().Slice(), func(k *connect.Link, r *target.Remote, f connect.Found) error {
				if f.Path == "" {
					return verb.Usagef("%s names no file", r)
				}
				_, err := k.CopyOut(f.Path, c.Bool("ascii") || r.ASCII, e.Out, nil)
				return verb.AtSide(r.Join(f.Path), "standard output", err)
			})
		},
	}
}

func Stat(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "stat", Usage: "tell name, type, size and time", ArgsUsage: "URL...", Flags: connect.Flags(),
		Description: flags.Examples("Tells what the server knows about a file or directory.",
			"miniftp stat ftp://127.0.0.1:2121/README.md",
			"miniftp stat --json ftp://127.0.0.1:2121/docs"),
		Action: func(c *cli.Context) error {
			if err := verb.WantArgs(c, 1, -1); err != nil {
				return err
			}
			lines, n := e.NewJSONLines(c), 0
			err := connect.EachURL(e, c, c.Args().Slice(), func(k *connect.Link, r *target.Remote, f connect.Found) error {
				var err error
				if f.Entry, err = k.Stat(f.Path); err != nil {
					return verb.At(r.Join(f.Path), err)
				}
				it := listed{cmp.Or(f.Path, "/"), f.Entry}
				lines.Result(toJSON(it))
				if n++; lines.On {
					return nil
				}
				if n > 1 {
					fmt.Fprintln(e.Out)
				}
				fmt.Fprint(e.Out, statText(e, it))
				return nil
			})
			if c.NArg() == 1 && !target.NamesSeveral(c.Args().First()) {
				return e.SayLast(err) // the one object is all
			}
			return lines.End(err)
		},
	}
}

func statText(e *verb.Env, it listed) string {
	j := toJSON(it)
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-9s %s\n", name, shown(e, value))
		}
	}
	line("name", it.name)
	line("type", j.Type)
	if it.Size >= 0 {
		line("size", strconv.FormatInt(it.Size, 10))
	}
	line("modified", j.Modified)
	line("mode", j.Mode)
	line("perm", j.Perm)
	line("owner", j.Owner)
	line("group", j.Group)
	line("target", j.Target)
	return b.String()
}

// isTop reports whether a path has no name of its own.
func isTop(p string) bool {
	name := path.Base(p)
	return name == "." || name == ".." || name == "/"
}

func Mkdir(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "mkdir", Usage: "make directories", ArgsUsage: "URL...",
		Flags: connect.Flags(&cli.BoolFlag{Name: "parents", Aliases: []string{"p"}, Usage: "make its parents too; one that exists is fine"}),
		Description: flags.Examples("Makes directories.",
			"miniftp mkdir ftp://127.0.0.1:2121/inbox",
			"miniftp mkdir -p ftp://127.0.0.1:2121/2026/11/22"),
		Action: onEach(e, 0, connect.Literal, func(c *cli.Context, k *connect.Link, cl *client.Client, f connect.Found) error {
			if f.Path == "" {
				return verb.Usagef("the URL names no directory")
			}
			if c.Bool("parents") {
				return cl.MakeDirAll(k.Ctx, f.Path)
			}
			return cl.MakeDir(k.Ctx, f.Path)
		}),
	}
}

// onEach is the action of a verb that does one thing to everything its URLs
// name, from the argument first on, over as many connections as --parallel says.
func onEach(e *verb.Env, first int, how connect.Naming, f func(*cli.Context, *connect.Link, *client.Client, connect.Found) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := verb.WantArgs(c, first+1, -1); err != nil {
			return err
		}
		lines := e.NewJSONLines(c)
		work := connect.NewCrew(e, connect.Parallel(c))
		err := connect.EachFound(e, c, c.Args().Slice()[first:], how, work, func(k *connect.Link, r *target.Remote, file connect.Found) error {
			return work.Do(func() error {
				err := verb.At(r.Join(file.Path), k.Do(func(cl *client.Client) error { return f(c, k, cl, file) }))
				if err == nil {
					lines.ResultAt(r.Join(file.Path))
				}
				return err
			})
		})
		return lines.End(err)
	}
}

func Chmod(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "chmod", Usage: "set permission bits", ArgsUsage: "MODE URL...", Flags: connect.Flags(),
		Description: flags.Examples("MODE is octal, as in chmod(1); the server must know SITE CHMOD.",
			"miniftp chmod 644 ftp://127.0.0.1:2121/copy.md",
			"miniftp chmod 755 'ftp://127.0.0.1:2121/docs-copy/*'"),
		Action: func(c *cli.Context) error {
			if err := verb.WantArgs(c, 2, -1); err != nil {
				return err
			}
			mode, err := fileMode(c.Args().First())
			if err != nil {
				return err
			}
			return onEach(e, 1, connect.Glob, func(_ *cli.Context, k *connect.Link, cl *client.Client, f connect.Found) error {
				if f.Path == "" {
					return verb.Usagef("the URL names no file")
				}
				return cl.Chmod(k.Ctx, f.Path, mode)
			})(c)
		},
	}
}

// fileMode reads an octal mode, its first digit of four for setuid, setgid and sticky.
func fileMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 16)
	if err != nil || n > 0o7777 {
		return 0, verb.Usagef("%q is not a mode such as 644 or 0755", s)
	}
	mode := fs.FileMode(n & 0o777)
	for i, bit := range [...]fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if n&(0o1000<<i) != 0 {
			mode |= bit
		}
	}
	return mode, nil
}
