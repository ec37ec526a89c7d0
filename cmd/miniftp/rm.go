package main

import (
	"errors"
	"io/fs"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

func rmCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "rm", Usage: "delete files", ArgsUsage: "URL...",
		Flags: clientFlags(
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "delete directories with all that is in them"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "what is not there is no error"}),
		Description: examples("Deletes files, and with -r directories. Links are deleted, never followed.",
			"miniftp rm ftp://127.0.0.1:2121/copy.md",
			"miniftp rm -rf ftp://127.0.0.1:2121/docs-copy"),
		Action: func(c *cli.Context) error {
			for _, u := range c.Args().Slice() {
				if r, err := parseRemote(u); err == nil && isTop(r.path) {
					return usagef("rm takes neither the top nor . nor ..: name what is to go")
				}
			}
			how := globs
			if c.Bool("force") {
				how = globsOrNone
			}
			return e.onEach(0, how, remove)(c)
		},
	}
}

// remove deletes what rm names. A refusal is looked into: servers have one code for what is
// not there, for a directory and for what may not be deleted.
func remove(c *cli.Context, k *link, cl *client.Client, f found) error {
	var err error
	if c.Bool("recursive") {
		err = cl.RemoveAll(k.ctx, f.path)
	} else {
		err = cl.Delete(k.ctx, f.path)
	}
	var no *ftp.Error
	if !errors.As(err, &no) || c.Bool("recursive") && !c.Bool("force") {
		return err
	}
	entry, missing := cl.Stat(k.ctx, f.path)
	switch {
	case c.Bool("force") && errors.Is(missing, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return nil
	case !c.Bool("recursive") && missing == nil && entry.IsDir():
		return hinted{err: err, text: "is a directory: rm -r deletes it with all that is in it"}
	}
	return err
}
