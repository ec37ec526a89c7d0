package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/jdx/go-netrc"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// login finds the user and the password: the flags and the URL first, then
// MINIFTP_PASSWORD, then ~/.netrc, then a prompt on a terminal, else anonymous.
func (e *env) login(c *cli.Context, r *remote) (user, pass string, err error) {
	user = r.user
	if name := c.String("user"); name != "" && (user == "" || c.IsSet("user") && !fromEnv(c, "user")) {
		user = name
	}
	if c.Bool("netrc") {
		nu, np, ok, err := netrcLogin(r.addr, c.String("user"))
		if err != nil {
			return "", "", err
		}
		if !ok {
			return "", "", usagef("~/.netrc has no login for %s", r.addr)
		}
		return nu, np, nil
	}
	switch {
	case c.String("password-file") != "":
		pass, err = passwordFile(c.String("password-file"))
		return user, pass, err
	case r.hasPass:
		return user, r.pass, nil
	}
	if p, ok := os.LookupEnv("MINIFTP_PASSWORD"); ok && user != "" {
		return user, p, nil
	}
	if nu, np, ok, err := netrcLogin(r.addr, user); err != nil || ok {
		return nu, np, err
	}
	if user == "" || strings.EqualFold(user, "anonymous") || strings.EqualFold(user, "ftp") {
		return user, "", nil
	}
	return e.prompt(r, user)
}

// fromEnv reports whether a flag's value came from its environment variable.
func fromEnv(c *cli.Context, name string) bool {
	v, ok := os.LookupEnv("MINIFTP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	return ok && v == c.String(name)
}

func (e *env) prompt(r *remote, user string) (string, string, error) {
	in, ok := e.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return user, "", usagef("no password for %s at %s: set MINIFTP_PASSWORD, or use --password-file or ~/.netrc", user, r.addr)
	}
	fmt.Fprintf(e.err, "Password of %s at %s: ", user, r.addr)
	p, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(e.err)
	return user, string(p), err
}

func passwordFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// netrcLogin looks the host up in $NETRC or ~/.netrc. A user that is known
// already must be the one of the entry.
func netrcLogin(addr, user string) (string, string, bool, error) {
	text, err := readNetrc()
	if err != nil || text == "" {
		return "", "", false, err
	}
	file, err := netrc.ParseString(text)
	if err != nil {
		return "", "", false, fmt.Errorf("~/.netrc: %w", err)
	}
	host, _, _ := net.SplitHostPort(addr)
	for _, m := range file.Machines() {
		if m.Name != host && !m.IsDefault {
			continue
		}
		login, pass := m.Get("login"), m.Get("password")
		if login != "" && (user == "" || user == login) {
			return login, pass, true, nil
		}
	}
	return "", "", false, nil
}

// readNetrc is the file's text; "" if there is none.
func readNetrc() (string, error) {
	name := os.Getenv("NETRC")
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil // no home, no file
		}
		name = filepath.Join(home, ".netrc")
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(text), err
}
