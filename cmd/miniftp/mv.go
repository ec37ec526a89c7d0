package main

import (
	"errors"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

func mvCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "mv", Usage: "rename a file or directory", ArgsUsage: "URL NEWPATH|URL", Flags: clientFlags(),
		Description: examples("NEWPATH is a plain path on the same server, from the login directory if relative, or a URL on that server. One that ends in / is a directory: the file is moved into it and keeps its name.",
			"miniftp mv ftp://127.0.0.1:2121/copy.md docs/",
			"miniftp mv ftp://127.0.0.1:2121/docs/copy.md ftp://127.0.0.1:2121/copy.md"),
		Action: e.runMv,
	}
}

func (e *env) runMv(c *cli.Context) error {
	if err := wantArgs(c, 2, 2); err != nil {
		return err
	}
	k, r, err := e.openArg(c, c.Args().First())
	if err != nil {
		return err
	}
	defer k.close()
	to, err := newPath(r, c.Args().Get(1))
	if err != nil {
		return err
	}
	lines := e.newJSONLines(c)
	err = k.do(func(cl *client.Client, _ int) error {
		err := cl.Rename(k.ctx, r.path, to)
		var no *ftp.Error
		if !errors.As(err, &no) || no.Verb != "RNTO" {
			return err
		}
		if entry, gone := cl.Stat(k.ctx, to); gone == nil && entry.IsDir() {
			return hinted{err: err, text: no.Error() + " (" + ftp.Printable(to) + " is a directory: with a / at its end, it is moved into it)"}
		}
		return err
	})
	if err != nil {
		return lines.end(at(r.String(), err))
	}
	if e.line == nil { // the shell is silent about what went well
		e.note("%s is now %s", ftp.Printable(r.String()), ftp.Printable(r.join(to)))
	}
	lines.result(struct {
		Verb string `json:"verb"`
		URL  string `json:"url"`
		To   string `json:"to"`
	}{"mv", r.String(), r.join(to)})
	return lines.end(nil)
}

// newPath returns the path that arg, the second argument of mv, names on r's server.
func newPath(r *remote, arg string) (string, error) {
	to := arg
	into := strings.HasSuffix(arg, "/")
	if isURL(arg) {
		o, err := parseRemote(arg)
		if err != nil {
			return "", err
		}
		if o.addr != r.addr || o.user != "" && o.user != r.user {
			return "", usagef("mv works on one server and for one user; to move a file to another server, copy it and then remove it:  miniftp copy %s %s",
				shellWord(r.given()), shellWord(o.given()))
		}
		to, into = o.path, into || o.path == ""
	}
	if r.path == "" || arg == "" || isTop(r.path) {
		return "", usagef("miniftp mv takes URL NEWPATH, and each has to name something")
	}
	if into {
		to = joinRemote(to, base(r.path))
	}
	return to, nil
}
