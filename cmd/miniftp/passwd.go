package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

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
	case perm != "" && presets[perm] == 0:
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

// quotedKey is a name as TOML takes it for a key.
func quotedKey(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// badName is why a name can't stand in a users file.
func badName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case strings.HasPrefix(name, "#"):
		return "it looks like a comment"
	case strings.Contains(name, ":"):
		return "it holds a colon"
	case strings.TrimSpace(name) != name:
		return "it begins or ends with a blank"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "it holds a control character"
	}
	return ""
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
	was, err := term.GetState(fd)
	if err != nil {
		return answers, err
	}
	typed := make(chan error, 1)
	go func() {
		var err error
		for i, p := range prompts {
			fmt.Fprint(e.err, p)
			var b []byte
			b, err = term.ReadPassword(fd)
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
		_ = term.Restore(fd, was)
		return [2]string{}, e.ctx.Err()
	}
	if errors.Is(err, io.EOF) {
		err = usagef("no password was typed")
	}
	return answers, err
}

// userLine is a line of a users file: NAME:PASSWORD[:PERM], as --user takes it. One
// without a name is empty or a comment.
type userLine struct {
	text                 string // as it stands in the file
	name, password, perm string
	bad                  string // what is wrong with it
}

func (l userLine) String() string {
	s := l.name + ":" + l.password
	if l.perm != "" {
		s += ":" + l.perm
	}
	return s
}

// parseUser reads NAME:PASSWORD[:PERM]. A password may hold a colon only if a permission
// follows it: else a mistyped permission would be part of the password, and the user
// could do everything.
func parseUser(s string) userLine {
	l := userLine{text: s}
	name, rest, ok := strings.Cut(s, ":")
	if i := strings.LastIndex(rest, ":"); i >= 0 && presets[rest[i+1:]] != 0 {
		rest, l.perm = rest[:i], rest[i+1:]
	}
	if !ok || name == "" || rest == "" {
		l.bad = "a line is NAME:PASSWORD or NAME:PASSWORD:PERM, with PERM ro, rw or drop"
	} else if i := strings.LastIndex(rest, ":"); i >= 0 && l.perm == "" {
		l.bad = fmt.Sprintf("a line is NAME:PASSWORD or NAME:PASSWORD:PERM, and %q is no PERM: it is ro, rw or drop (a password with a colon needs one after it)", rest[i+1:])
	}
	l.name, l.password = name, rest
	return l
}

// readUsers reads a users file; shared tells that others than its owner and group may
// read it.
func readUsers(name string) (lines []userLine, shared bool, err error) {
	text, mode, err := readLimited(name)
	if err != nil {
		return nil, false, err
	}
	seen := map[string]bool{}
	for s := range strings.Lines(string(text)) {
		s = strings.TrimRight(s, "\r\n")
		if t := strings.TrimSpace(s); t == "" || strings.HasPrefix(t, "#") {
			lines = append(lines, userLine{text: s})
			continue
		}
		l := parseUser(s)
		if why := badName(l.name); l.bad == "" && why != "" {
			l.bad = "that name can't be: " + why
		}
		if l.bad == "" && seen[l.name] {
			l.bad = "user " + ftp.Printable(l.name) + " stands here twice"
		}
		seen[l.name] = true
		if l.name == "" {
			l.name = "?" // it is no comment
		}
		lines = append(lines, l)
	}
	return lines, mode.Perm()&0o004 != 0, nil
}

// setUser puts a user into the file, or a new password to one who is there.
func setUser(ctx context.Context, file string, user userLine) (did string, err error) {
	unlock, err := lockFile(ctx, file)
	if err != nil {
		return "", err
	}
	defer unlock()
	lines, _, err := readUsers(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := othersAreFine(file, lines, user.name); err != nil {
		return "", err
	}
	did = "added"
	user.text = user.String()
	i := slices.IndexFunc(lines, func(l userLine) bool { return l.name == user.name })
	if i < 0 {
		lines = append(lines, user)
	} else {
		did = "changed"
		if user.perm == "" {
			user.perm = lines[i].perm
		}
		user.text = user.String()
		lines[i] = user
		rest := slices.DeleteFunc(lines[i+1:], func(l userLine) bool { return l.name == user.name })
		lines = lines[:i+1+len(rest)]
	}
	return did, writeUsers(file, lines)
}

// othersAreFine finds a line that serve would refuse, and that is not about the user
// who is to be changed: whose it is, and what he may, has to be asked of a person.
func othersAreFine(file string, lines []userLine, but string) error {
	for i, l := range lines {
		if l.bad != "" && l.name != but {
			return usagef("%s:%d: %s; nothing was changed", ftp.Printable(file), i+1, l.bad)
		}
	}
	return nil
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

// writeUsers writes the file anew and renames it into place, so that a server never
// reads half of it. It is for its owner's eyes only; who owned it still does.
func writeUsers(file string, lines []userLine) error {
	if to, err := filepath.EvalSymlinks(file); err == nil {
		file = to
	}
	var b bytes.Buffer
	for _, l := range lines {
		fmt.Fprintln(&b, l.text)
	}
	return replaceFile(file, b.Bytes(), func(f *os.File) error {
		old, err := os.Stat(file)
		if err != nil {
			return nil // there was none
		}
		return keepOwner(f, old)
	})
}
