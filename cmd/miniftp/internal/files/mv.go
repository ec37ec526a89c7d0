package files

import (
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

func Mv(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "mv", Usage: "rename a file or directory", ArgsUsage: "URL NEWPATH|URL", Flags: connect.Flags(),
		Description: flags.Examples("NEWPATH is a plain path on the same server, from the login directory if relative, or a URL on that server. One that ends in / is a directory: the file is moved into it and keeps its name.",
			"miniftp mv ftp://127.0.0.1:2121/copy.md docs/",
			"miniftp mv ftp://127.0.0.1:2121/docs/copy.md ftp://127.0.0.1:2121/copy.md"),
		Action: func(c *cli.Context) error { return runMv(e, c) },
	}
}

func runMv(e *verb.Env, c *cli.Context) error {
	if err := verb.WantArgs(c, 2, 2); err != nil {
		return err
	}
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
			return verb.Hinted{Err: err, Text: no.Error() + " (" + ftp.Printable(to) + " is a directory: with a / at its end, it is moved into it)"}
		}
		return err
	})
	if err != nil {
		return lines.End(verb.At(r.String(), err))
	}
	if e.Line == nil { // the shell is silent about what went well
		e.Note("%s is now %s", ftp.Printable(r.String()), ftp.Printable(r.Join(to)))
	}
	lines.Result(struct {
		Verb string `json:"verb"`
		URL  string `json:"url"`
		To   string `json:"to"`
	}{"mv", r.String(), r.Join(to)})
	return lines.End(nil)
}

// newPath returns the path that arg, the second argument of mv, names on r's server.
func newPath(r *target.Remote, arg string) (string, error) {
	to := arg
	into := strings.HasSuffix(arg, "/")
	if verb.IsURL(arg) {
		o, err := target.Parse(arg)
		if err != nil {
			return "", err
		}
		if o.Addr != r.Addr || o.User != "" && o.User != r.User {
			return "", verb.Usagef("mv works on one server and for one user; to move a file to another server, copy it and then remove it:  miniftp copy %s %s",
				verb.ShellWord(r.Given()), verb.ShellWord(o.Given()))
		}
		to, into = o.Path, into || o.Path == ""
	}
	if r.Path == "" || arg == "" || isTop(r.Path) {
		return "", verb.Usagef("miniftp mv takes URL NEWPATH, and each has to name something")
	}
	if into {
		to = target.Join(to, target.Base(r.Path))
	}
	return to, nil
}
