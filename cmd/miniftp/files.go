package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/ftp/client"
)

func catCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "cat", Usage: "print files", ArgsUsage: "URL...", Flags: clientFlags(),
		Description: examples("Writes files to standard output, as they are.",
			"miniftp cat ftp://127.0.0.1:2121/README.md",
			"miniftp cat 'ftp://127.0.0.1:2121/*.md' | wc -l"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			if c.Bool("json") {
				return usagef("cat prints the files themselves: --json does not go with it")
			}
			return e.eachURL(c, c.Args().Slice(), func(k *link, r *remote, f found) error {
				if f.path == "" {
					return usagef("%s names no file", r)
				}
				_, err := k.copyOut(f.path, c.Bool("ascii") || r.ascii, e.out, nil)
				return explainLocal(r.join(f.path), "standard output", err)
			})
		},
	}
}

func statCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "stat", Usage: "tell name, type, size and time", ArgsUsage: "URL...", Flags: clientFlags(),
		Description: examples("Tells what the server knows about a file or directory.",
			"miniftp stat ftp://127.0.0.1:2121/README.md",
			"miniftp stat --json ftp://127.0.0.1:2121/docs"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			lines, n := e.newJSONLines(c), 0
			err := e.eachURL(c, c.Args().Slice(), func(k *link, r *remote, f found) error {
				err := k.do(func(cl *client.Client, _ int) (err error) {
					f.entry, err = cl.Stat(k.ctx, f.path)
					return err
				})
				if err != nil {
					return at(r.join(f.path), err)
				}
				it := listed{cmp.Or(f.path, "/"), f.entry}
				lines.result(toJSON(it))
				if n++; lines.on {
					return nil
				}
				if n > 1 {
					fmt.Fprintln(e.out)
				}
				fmt.Fprint(e.out, e.statText(it))
				return nil
			})
			if c.NArg() == 1 && !namesSeveral(c.Args().First()) {
				return e.sayLast(err) // the one object is all
			}
			return lines.end(err)
		},
	}
}

func (e *env) statText(it listed) string {
	j := toJSON(it)
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-9s %s\n", name, e.shown(value))
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

func mkdirCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "mkdir", Usage: "make directories", ArgsUsage: "URL...",
		Flags: clientFlags(&cli.BoolFlag{Name: "parents", Aliases: []string{"p"}, Usage: "make its parents too; one that exists is fine"}),
		Description: examples("Makes directories.",
			"miniftp mkdir ftp://127.0.0.1:2121/inbox",
			"miniftp mkdir -p ftp://127.0.0.1:2121/2026/11/22"),
		Action: e.onEach(0, asNamed, func(c *cli.Context, k *link, cl *client.Client, f found) error {
			if f.path == "" {
				return usagef("the URL names no directory")
			}
			if c.Bool("parents") {
				return cl.MakeDirAll(k.ctx, f.path)
			}
			return cl.MakeDir(k.ctx, f.path)
		}),
	}
}

// onEach is the action of a verb that does one thing to everything its URLs
// name, from the argument first on, over as many connections as --parallel says.
func (e *env) onEach(first int, how naming, f func(*cli.Context, *link, *client.Client, found) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := wantArgs(c, first+1, -1); err != nil {
			return err
		}
		lines := e.newJSONLines(c)
		work := e.newCrew(parallel(c))
		err := e.eachNamed(c, c.Args().Slice()[first:], how, work, func(k *link, r *remote, file found) error {
			return work.do(func() error {
				err := at(r.join(file.path), k.do(func(cl *client.Client, _ int) error { return f(c, k, cl, file) }))
				if err == nil {
					lines.resultAt(r.join(file.path))
				}
				return err
			})
		})
		return lines.end(err)
	}
}

func chmodCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "chmod", Usage: "set permission bits", ArgsUsage: "MODE URL...", Flags: clientFlags(),
		Description: examples("MODE is octal, as in chmod(1); the server must know SITE CHMOD.",
			"miniftp chmod 644 ftp://127.0.0.1:2121/copy.md",
			"miniftp chmod 755 'ftp://127.0.0.1:2121/docs-copy/*'"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 2, -1); err != nil {
				return err
			}
			mode, err := fileMode(c.Args().First())
			if err != nil {
				return err
			}
			return e.onEach(1, globs, func(_ *cli.Context, k *link, cl *client.Client, f found) error {
				if f.path == "" {
					return usagef("the URL names no file")
				}
				return cl.Chmod(k.ctx, f.path, mode)
			})(c)
		},
	}
}

// fileMode reads an octal mode, its first digit of four for setuid, setgid and sticky.
func fileMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 16)
	if err != nil || n > 0o7777 {
		return 0, usagef("%q is not a mode such as 644 or 0755", s)
	}
	mode := fs.FileMode(n & 0o777)
	for i, bit := range [...]fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if n&(0o1000<<i) != 0 {
			mode |= bit
		}
	}
	return mode, nil
}
