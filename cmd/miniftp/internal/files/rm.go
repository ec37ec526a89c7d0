package files

import (
	"errors"
	"io/fs"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

func Rm(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "rm", Usage: "delete files", ArgsUsage: "URL...",
		Flags: connect.Flags(
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, EnvVars: flags.NoVariable, Usage: "delete directories with all that is in them"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, EnvVars: flags.NoVariable, Usage: "what is not there is no error"}),
		Description: flags.Examples("Deletes files, and with -r directories. Links are deleted, never followed.",
			"miniftp rm ftp://127.0.0.1:2121/copy.md",
			"miniftp rm -rf ftp://127.0.0.1:2121/docs-copy"),
		Action: func(c *cli.Context) error {
			for _, u := range c.Args().Slice() {
				if r, err := target.Parse(u); err == nil && isTop(r.Path) {
					return verb.Usagef("rm takes neither the top nor . nor ..: name what is to go")
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

// remove deletes what rm names. A refusal is looked into: servers have one code for what is
// not there, for a directory and for what may not be deleted.
func remove(c *cli.Context, k *connect.Link, cl *client.Client, f connect.Found) error {
	var err error
	if c.Bool("recursive") {
		err = cl.RemoveAll(k.Ctx, f.Path)
	} else {
		err = cl.Delete(k.Ctx, f.Path)
	}
	var no *ftp.Error
	if !errors.As(err, &no) || c.Bool("recursive") && !c.Bool("force") {
		return err
	}
	entry, missing := cl.Stat(k.Ctx, f.Path)
	switch {
	case c.Bool("force") && errors.Is(missing, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return nil
	case !c.Bool("recursive") && missing == nil && entry.IsDir():
		return verb.Hinted{Err: err, Text: "is a directory: rm -r deletes it with all that is in it"}
	}
	return err
}
