package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"miniftp/ftp/client"
)

func (e *env) cat() *cli.Command {
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

func (e *env) stat() *cli.Command {
	return &cli.Command{
		Name: "stat", Usage: "tell name, type, size and time", ArgsUsage: "URL...", Flags: clientFlags(),
		Description: examples("Tells what the server knows about a file or directory.",
			"miniftp stat ftp://127.0.0.1:2121/README.md",
			"miniftp stat --json ftp://127.0.0.1:2121/docs"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, -1); err != nil {
				return err
			}
			var all []listed
			err := e.eachURL(c, c.Args().Slice(), func(k *link, r *remote, f found) error {
				err := k.do(func(cl *client.Client, _ int) (err error) {
					f.entry, err = cl.Stat(k.ctx, f.path)
					return err
				})
				if err != nil {
					return at(r.join(f.path), err)
				}
				it := listed{cmp.Or(f.path, "/"), f.entry}
				if !c.Bool("json") {
					if len(all) > 0 {
						fmt.Fprintln(e.out)
					}
					fmt.Fprint(e.out, e.statText(it))
				}
				all = append(all, it)
				return nil
			})
			if !c.Bool("json") {
				return err
			}
			if len(all) == 1 && c.NArg() == 1 {
				return firstError(err, printJSON(e.out, toJSON(all[0])))
			}
			return firstError(err, printJSON(e.out, jsonEntries(all)))
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

func (e *env) rm() *cli.Command {
	return &cli.Command{
		Name: "rm", Usage: "delete files", ArgsUsage: "URL...",
		Flags: clientFlags(&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "delete directories with all that is in them"}),
		Description: examples("Deletes files, and with -r directories. Links are deleted, never followed.",
			"miniftp rm ftp://127.0.0.1:2121/copy.md",
			"miniftp rm -r ftp://127.0.0.1:2121/docs-copy"),
		Action: func(c *cli.Context) error {
			for _, u := range c.Args().Slice() {
				if r, err := parseRemote(u); err == nil && isTop(r.path) {
					return usagef("rm takes neither the top nor . nor ..: name what is to go")
				}
			}
			return e.onEach(0, globs, func(c *cli.Context, k *link, cl *client.Client, f found) error {
				if !c.Bool("recursive") {
					return cl.Delete(k.ctx, f.path)
				}
				return cl.RemoveAll(k.ctx, f.path)
			})(c)
		},
	}
}

// isTop reports whether a path has no name of its own.
func isTop(p string) bool {
	name := path.Base(p)
	return name == "." || name == ".." || name == "/"
}

func (e *env) mkdir() *cli.Command {
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
		var mu sync.Mutex
		done := []string{}
		work := e.newCrew(c.Int("parallel"))
		err := e.eachNamed(c, c.Args().Slice()[first:], how, work, func(k *link, r *remote, file found) error {
			return work.do(func() error {
				err := at(r.join(file.path), k.do(func(cl *client.Client, _ int) error { return f(c, k, cl, file) }))
				if err == nil {
					mu.Lock()
					done = append(done, r.join(file.path))
					mu.Unlock()
				}
				return err
			})
		})
		return e.jsonDone(c, done, err)
	}
}

// jsonDone prints, with --json, what a verb has done.
func (e *env) jsonDone(c *cli.Context, done []string, err error) error {
	if !c.Bool("json") {
		return err
	}
	return firstError(err, printJSON(e.out, map[string]any{"verb": c.Command.Name, "done": done}))
}

func (e *env) mv() *cli.Command {
	return &cli.Command{
		Name: "mv", Usage: "rename a file or directory", ArgsUsage: "URL NEWPATH", Flags: clientFlags(),
		Description: examples("NEWPATH is a plain path on the same server, from the login directory if relative.",
			"miniftp mv ftp://127.0.0.1:2121/copy.md docs/copy.md",
			"miniftp mv ftp://127.0.0.1:2121/docs/copy.md /copy.md"),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 2, 2); err != nil {
				return err
			}
			to := c.Args().Get(1)
			if isURL(to) {
				return usagef("NEWPATH is a plain path such as dir/new.txt, not a URL")
			}
			k, r, err := e.openArg(c, c.Args().First())
			if err != nil {
				return err
			}
			defer k.close()
			if r.path == "" || to == "" {
				return usagef("miniftp mv takes URL NEWPATH, and each has to name something")
			}
			err = at(r.String(), k.do(func(cl *client.Client, _ int) error { return cl.Rename(k.ctx, r.path, to) }))
			if err != nil {
				return e.jsonDone(c, []string{}, err)
			}
			return e.jsonDone(c, []string{r.join(to)}, nil)
		},
	}
}

func (e *env) chmod() *cli.Command {
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
