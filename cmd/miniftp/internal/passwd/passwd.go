// Package passwd implements the verb passwd, which makes the hash of a password, or changes a users file.
//
// It hashes with the function of package server, so that the server accepts the hash.
package passwd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/users"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

// Command returns the verb passwd.
func Command(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "passwd", Usage: "make the hash of a password, or set it in a users file", ArgsUsage: "NAME",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", EnvVars: flags.NoVariable, Usage: "set the password in `FILE`, a users file of serve; create it if it does not exist", DefaultText: "none: print the line"},
			&cli.StringFlag{Name: "perm", Usage: "give the user the permission `PERM`: ro, rw or drop (upload only)", DefaultText: "unchanged; rw for a new user"},
			&cli.BoolFlag{Name: "delete", EnvVars: flags.NoVariable, Usage: "with --file: delete the user"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only errors"},
		},
		Description: flags.Examples("Asks for the password twice. If standard input is not a terminal, its first line is the password. The hash is made with bcrypt. A running server reads its users file again on SIGHUP.",
			"echo secret | miniftp passwd alice",
			"echo secret | miniftp passwd --file users --perm ro alice",
			"miniftp passwd --file users --delete alice"),
		Action: func(c *cli.Context) error { return runPasswd(e, c) },
	}
}

func runPasswd(e *verb.Env, c *cli.Context) error {
	name, file, perm := c.Args().First(), c.String("file"), c.String("perm")
	switch {
	case users.BadName(name) != "":
		return verb.Usagef("%q is not allowed as a user name: %s", name, users.BadName(name))
	case perm != "" && !slices.Contains(users.Perms, perm):
		return verb.Usagef("--perm %q: %s", perm, flags.OneOf("perm", perm))
	case c.Bool("delete") && file == "":
		return verb.Usagef("--delete needs --file")
	case c.Bool("delete") && perm != "":
		return verb.Usagef("--delete and --perm can't be used together")
	case c.Bool("delete"):
		return deleteUser(e, file, name)
	}
	if file != "" { // find mistakes before asking for the password
		lines, _, err := users.Read(file)
		if err == nil {
			err = users.OthersAreFine(file, lines, name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	password, err := newPassword(e, name)
	if err != nil {
		return err
	}
	hash, err := server.HashPassword(password)
	if err != nil {
		return verb.Usagef("%v", err)
	}
	line := users.Line{Name: name, Password: hash, Perm: perm}
	if file == "" {
		e.Note("this is a line for a users file; in [users.%s] of miniftp.toml, write  password = %q", users.QuotedKey(name), hash)
		_, err := fmt.Fprintln(e.Out, line)
		return err
	}
	did, err := users.Set(e.Ctx, file, line)
	if err == nil {
		e.Note("%s: %s user %s", ftp.Printable(file), did, ftp.Printable(name))
	}
	return err
}

// newPassword asks for the password twice on a terminal, and reads one line from other input.
func newPassword(e *verb.Env, name string) (string, error) {
	if !term.IsTerminal(e.In) {
		line, err := bufio.NewReader(io.LimitReader(e.In, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", verb.LocalProblem("standard input", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	typed, err := e.AskHidden("New password of "+ftp.Printable(name)+": ", "Repeat the password: ")
	switch {
	case err != nil:
		return "", err
	case typed[0] != typed[1]:
		return "", verb.Usagef("the two passwords differ; nothing was changed")
	}
	return typed[0], nil
}

func deleteUser(e *verb.Env, file, name string) error {
	unlock, err := local.Lock(e.Ctx, file)
	if err != nil {
		return err
	}
	defer unlock()
	lines, _, err := users.Read(file)
	if err != nil {
		return err
	}
	if err := users.OthersAreFine(file, lines, name); err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(lines), func(l users.Line) bool { return l.Name == name })
	if len(left) == len(lines) {
		return verb.Usagef("%s: no user %s", ftp.Printable(file), ftp.Printable(name))
	}
	if err := users.Write(file, left); err != nil {
		return err
	}
	e.Note("%s: deleted user %s", ftp.Printable(file), ftp.Printable(name))
	if !slices.ContainsFunc(left, func(l users.Line) bool { return l.Name != "" }) {
		e.Note("%s: no user is left: a server will not start with this file, and a running one keeps its current users", ftp.Printable(file))
	}
	return nil
}
