package files

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Mkdir returns the verb mkdir.
func Mkdir(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "mkdir", Usage: "make directories", ArgsUsage: "URL...",
		Flags: connect.Flags(&cli.BoolFlag{Name: "parents", Aliases: []string{"p"}, Usage: "make parent directories too, and accept directories that exist"}),
		Description: flags.Examples("Makes directories."+connect.Storages(),
			"miniftp mkdir ftp://127.0.0.1:2121/inbox",
			"miniftp mkdir -p ftp://127.0.0.1:2121/2026/11/22"),
		Action: onEach(e, 0, connect.Literal, func(c *cli.Context, k *connect.Link, cl *client.Client, f connect.Found) error {
			if f.Path == "" {
				return verb.Usagef("the URL does not name a directory")
			}
			if c.Bool("parents") {
				return cl.MakeDirAll(k.Ctx, f.Path)
			}
			return cl.MakeDir(k.Ctx, f.Path)
		}),
	}
}

// Chmod returns the verb chmod.
func Chmod(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "chmod", Usage: "set permission bits", ArgsUsage: "MODE URL...", Flags: connect.Flags(),
		Description: flags.Examples("Sets the permissions to MODE, which is octal as in chmod(1). The server must support SITE CHMOD.",
			"miniftp chmod 644 ftp://127.0.0.1:2121/copy.md",
			"miniftp chmod 755 'ftp://127.0.0.1:2121/docs-copy/*'"),
		Action: func(c *cli.Context) error {
			mode, err := fileMode(c.Args().First())
			if err != nil {
				return err
			}
			return onEach(e, 1, connect.Glob, func(_ *cli.Context, k *connect.Link, cl *client.Client, f connect.Found) error {
				if f.Path == "" {
					return verb.Usagef("the URL does not name a file")
				}
				return cl.Chmod(k.Ctx, f.Path, mode)
			})(c)
		},
	}
}

// fileMode parses an octal mode. The first of four digits is setuid, setgid and sticky.
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

// onEach returns the action of a verb that calls f for everything named by its URLs: the arguments from
// index first on. It uses as many connections as --parallel allows.
func onEach(e *verb.Env, first int, how connect.Naming, f func(*cli.Context, *connect.Link, *client.Client, connect.Found) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		lines := e.NewJSONLines(c)
		work := connect.NewWorkers(e, connect.Parallel(c))
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

// Rm returns the verb rm.
func Rm(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "rm", Usage: "delete files", ArgsUsage: "URL...",
		Flags: connect.Flags(
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, EnvVars: flags.NoVariable, Usage: "delete directories with all their contents"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, EnvVars: flags.NoVariable, Usage: "ignore names that do not exist"}),
		Description: flags.Examples("Deletes files and, with -r, directories. Links are deleted, never followed."+connect.Storages(),
			"miniftp rm ftp://127.0.0.1:2121/copy.md",
			"miniftp rm -rf ftp://127.0.0.1:2121/docs-copy"),
		Action: func(c *cli.Context) error {
			for _, u := range c.Args().Slice() {
				if r, err := target.ParseRemote(u); err == nil && isTop(r.Path) {
					return verb.Usagef("rm does not delete the top directory, . or ..: name what to delete")
				}
			}
			how := connect.Glob
			if c.Bool("force") {
				how = connect.GlobOrNone
			}
			return onEach(e, 0, how, remove)(c)
		},
	}
}

// remove deletes one path for rm. If the server refuses, remove finds out why, because servers use
// the same code for a missing file, a directory, and a lack of permission.
func remove(c *cli.Context, k *connect.Link, cl *client.Client, f connect.Found) error {
	var err error
	if c.Bool("recursive") {
		err = cl.RemoveAll(k.Ctx, f.Path)
	} else {
		err = cl.Delete(k.Ctx, f.Path)
	}
	if !errors.As(err, new(*ftp.Error)) || c.Bool("recursive") && !c.Bool("force") {
		return err
	}
	entry, missing := cl.Stat(k.Ctx, f.Path)
	switch {
	case c.Bool("force") && errors.Is(missing, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return nil
	case !c.Bool("recursive") && missing == nil && entry.IsDir():
		return verb.Hinted{Err: err, Text: "is a directory: rm -r deletes it with all its contents"}
	}
	return err
}

// Mv returns the verb mv.
func Mv(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "mv", Usage: "rename a file or directory", ArgsUsage: "URL NEWPATH|URL", Flags: connect.Flags(),
		Description: flags.Examples("NEWPATH is a path on the same server, relative to the login directory unless it begins with /, or a URL on that server. If it ends in /, it is a directory, and the file is moved into it and keeps its name."+connect.Storages(),
			"miniftp mv ftp://127.0.0.1:2121/copy.md docs/",
			"miniftp mv ftp://127.0.0.1:2121/docs/copy.md ftp://127.0.0.1:2121/copy.md"),
		Action: func(c *cli.Context) error { return runMv(e, c) },
	}
}

func runMv(e *verb.Env, c *cli.Context) error {
	k, r, err := connect.OpenURL(e, c, c.Args().First())
	if err != nil {
		return err
	}
	defer k.Close()
	to, err := newPath(r, c.Args().Get(1))
	if err != nil {
		return err
	}
	lines := e.NewJSONLines(c)
	err = k.Do(func(cl *client.Client) error {
		err := cl.Rename(k.Ctx, r.Path, to)
		var no *ftp.Error
		if !errors.As(err, &no) || no.Verb != "RNTO" {
			return err
		}
		if entry, gone := cl.Stat(k.Ctx, to); gone == nil && entry.IsDir() {
			return verb.Hinted{Err: err, Text: no.Error() + " (" + ftp.Printable(to) + " is a directory: add a / to move the file into it)"}
		}
		return err
	})
	if err != nil {
		return lines.End(verb.At(r.String(), err))
	}
	if e.Line == nil { // the shell does not report success
		e.Note("%s is now %s", ftp.Printable(r.String()), ftp.Printable(r.Join(to)))
	}
	lines.Result(struct {
		Verb string `json:"verb"`
		URL  string `json:"url"`
		To   string `json:"to"`
	}{"mv", r.String(), r.Join(to)})
	return lines.End(nil)
}

// newPath returns the path on r's server for arg, the second argument of mv.
func newPath(r *target.Remote, arg string) (string, error) {
	to := arg
	into := strings.HasSuffix(arg, "/")
	if verb.IsURL(arg) {
		o, err := target.ParseRemote(arg)
		if err != nil {
			return "", err
		}
		if !o.SameTree(r) || o.User != "" && o.User != r.User {
			return "", verb.Usagef("mv works on one server and for one user; to move a file to another server, copy it and then remove it:  miniftp copy %s %s",
				verb.ShellWord(r.Given()), verb.ShellWord(o.Given()))
		}
		to, into = o.Path, into || o.Path == ""
	}
	if r.Path == "" || arg == "" || isTop(r.Path) {
		return "", verb.Usagef("miniftp mv takes URL NEWPATH, and each must name a file or directory")
	}
	if into {
		to = target.Join(to, target.Base(r.Path))
	}
	return to, nil
}

// isTop reports whether a path ends in . or .. or is the root.
func isTop(p string) bool {
	name := path.Base(p)
	return name == "." || name == ".." || name == "/"
}
