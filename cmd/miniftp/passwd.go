package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	xterm "golang.org/x/term"

	"miniftp/ftp"
	"miniftp/ftp/server"
)

func passwdCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "passwd", Usage: "make the hash of a password, or keep it in a users file", ArgsUsage: "NAME",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Usage: "set the password in `FILE`, for --users-file of serve; it is made if it is missing", DefaultText: "none: print the line"},
			&cli.StringFlag{Name: "perm", Usage: "the user may `PERM`: ro, rw or drop (upload only)", DefaultText: "what it is, else rw"},
			&cli.BoolFlag{Name: "delete", Usage: "with --file: take the user out"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only errors"},
		},
		Description: examples("Asks for the password twice; where there is no terminal, it is the first line of standard input. The hash is bcrypt's. A server reads a users file again on SIGHUP.",
			"echo secret | miniftp passwd alice",
			"echo secret | miniftp passwd --file users --perm ro alice",
			"miniftp passwd --file users --delete alice"),
		Action: e.runPasswd,
	}
}

func (e *env) runPasswd(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	name, file, perm := c.Args().First(), c.String("file"), c.String("perm")
	switch {
	case badName(name) != "":
		return usagef("%q can't stand in a users file: %s", name, badName(name))
	case perm != "" && !slices.Contains(permWords, perm):
		return usagef("--perm %q: %s", perm, itIs("perm", perm))
	case c.Bool("delete") && file == "":
		return usagef("--delete goes with --file")
	case c.Bool("delete") && perm != "":
		return usagef("--delete and --perm exclude each other")
	case c.Bool("delete"):
		return e.deleteUser(file, name)
	}
	if file != "" { // before the password is asked for
		lines, _, err := readUsers(file)
		if err == nil {
			err = othersAreFine(file, lines, name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	password, err := e.newPassword(name)
	if err != nil {
		return err
	}
	hash, err := server.HashPassword(password)
	if err != nil {
		return usagef("%v", err)
	}
	line := userLine{name: name, password: hash, perm: perm}
	if file == "" {
		e.note("a line for a users file; in [users.%s] of miniftp.toml write  password = %q", quotedKey(name), hash)
		_, err := fmt.Fprintln(e.out, line)
		return err
	}
	did, err := setUser(e.ctx, file, line)
	if err == nil {
		e.note("%s: %s is %s", ftp.Printable(file), ftp.Printable(name), did)
	}
	return err
}

// newPassword asks twice on a terminal, and reads one line elsewhere.
func (e *env) newPassword(name string) (string, error) {
	in, ok := file(e.in)
	if !ok || !isTerminal(in) {
		line, err := bufio.NewReader(io.LimitReader(e.in, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", localProblem("standard input", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	first, err := e.askTwice(int(in.Fd()), []string{"New password of " + ftp.Printable(name) + ": ", "Once more: "})
	if err == nil && first[0] != first[1] {
		err = usagef("the two differ; nothing was changed")
	}
	return first[0], err
}

// askTwice shows each prompt and reads an answer that is not shown.
func (e *env) askTwice(fd int, prompts []string) ([2]string, error) {
	var answers [2]string
	was, err := xterm.GetState(fd)
	if err != nil {
		return answers, err
	}
	typed := make(chan error, 1)
	go func() {
		var err error
		for i, p := range prompts {
			fmt.Fprint(e.err, p)
			var b []byte
			b, err = xterm.ReadPassword(fd)
			fmt.Fprintln(e.err)
			if err != nil {
				break
			}
			answers[i] = string(b)
		}
		typed <- err
	}()
	select {
	case err = <-typed:
	case <-e.ctx.Done(): // nothing ends the read: the process will
		fmt.Fprintln(e.err)
		_ = xterm.Restore(fd, was)
		return [2]string{}, e.ctx.Err()
	}
	if errors.Is(err, io.EOF) {
		err = usagef("no password was typed")
	}
	return answers, err
}

func (e *env) deleteUser(file, name string) error {
	unlock, err := lockFile(e.ctx, file)
	if err != nil {
		return err
	}
	defer unlock()
	lines, _, err := readUsers(file)
	if err != nil {
		return err
	}
	if err := othersAreFine(file, lines, name); err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(lines), func(l userLine) bool { return l.name == name })
	if len(left) == len(lines) {
		return usagef("%s: there is no user %s", ftp.Printable(file), ftp.Printable(name))
	}
	if err := writeUsers(file, left); err != nil {
		return err
	}
	e.note("%s: %s is deleted", ftp.Printable(file), ftp.Printable(name))
	if !slices.ContainsFunc(left, func(l userLine) bool { return l.name != "" }) {
		e.note("%s: no user is left in it: a server does not start with it, and one that runs keeps the users it has", ftp.Printable(file))
	}
	return nil
}
