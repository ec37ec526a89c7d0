package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	xterm "golang.org/x/term"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// login finds the user and the password: the flags and the URL first, then
// MINIFTP_PASSWORD, then ~/.netrc, then a prompt on a terminal, else anonymous.
func (e *env) login(c *cli.Context, r *remote) (user, pass string, err error) {
	user = r.user
	named := namedUser(c)
	if named != "" && (user == "" || asked(c, "user")) {
		user = named
	}
	if c.Bool("netrc") {
		nu, np, ok, err := netrcLogin(r.addr, named)
		if err == nil && !ok {
			err = usagef("~/.netrc has no login for %s", r.addr)
		}
		return nu, np, err
	}
	switch {
	case c.String("password-file") != "":
		pass, err = passwordFile(c.String("password-file"))
		return user, pass, err
	case r.hasPass && (user == r.user || r.user == ""):
		return user, r.pass, nil
	}
	if p, ok := os.LookupEnv("MINIFTP_PASSWORD"); ok && user != "" {
		return user, p, nil
	}
	// One that may not be read is as good as none: it was not asked for.
	if nu, np, ok, err := netrcLogin(r.addr, user); ok || err != nil && !errors.Is(err, fs.ErrPermission) {
		return nu, np, err
	}
	if isAnonymous(user) {
		return user, "", nil
	}
	return e.prompt(r, user)
}

// namedUser is the value of --user. In the environment it may be that of serve,
// NAME:PASSWORD: the password is not sent as a part of the name.
func namedUser(c *cli.Context) string {
	name := c.String("user")
	if fromEnv(c, "user") {
		name, _, _ = strings.Cut(name, ":")
	}
	return name
}

func isAnonymous(user string) bool {
	return user == "" || strings.EqualFold(user, "anonymous") || strings.EqualFold(user, "ftp")
}

// prompt asks for the password. Where nobody can be asked it is left empty: not
// every server wants one.
func (e *env) prompt(r *remote, user string) (string, string, error) {
	in, ok := file(e.in)
	if !ok || !isTerminal(in) {
		return user, "", nil
	}
	fd := int(in.Fd())
	was, err := xterm.GetState(fd)
	if err != nil {
		return user, "", err
	}
	fmt.Fprintf(e.err, "Password of %s at %s: ", ftp.Printable(user), r.addr)
	typed := make(chan error, 1)
	var pass []byte
	go func() {
		var err error
		pass, err = xterm.ReadPassword(fd)
		typed <- err
	}()
	select {
	case err = <-typed:
	case <-e.ctx.Done(): // nothing ends the read: the process will
		fmt.Fprintln(e.err)
		_ = xterm.Restore(fd, was)
		return user, "", context.Cause(e.ctx)
	}
	fmt.Fprintln(e.err)
	if errors.Is(err, io.EOF) {
		err = usagef("no password was typed")
	}
	return user, string(pass), err
}

// loginHint says what a refused login may have lacked.
func loginHint(err error, o client.Options) error {
	var reply *ftp.Error
	if errors.As(err, &reply) && o.TLS == client.NoTLS && wantsTLS(reply.Reply) {
		return fmt.Errorf("%w (the server wants TLS: use --tls, or ftpes:// in the URL)", err)
	}
	if errors.As(err, &reply) && (reply.Code == 332 || reply.Verb == "ACCT" && o.Account == "") {
		return fmt.Errorf("%w (the server asks for an account: name it with --account)", err)
	}
	if exitCode(err) != exitLogin || o.Password != "" || isAnonymous(o.User) {
		return err
	}
	return fmt.Errorf("%w (no password was given: set MINIFTP_PASSWORD, or use --password-file or ~/.netrc)", err)
}

// wantsTLS reads in the words of a refusal that TLS is missing; its code rarely says so.
func wantsTLS(r ftp.Reply) bool {
	text := strings.ToUpper(r.Text())
	for _, word := range []string{"TLS", "SSL", "ENCRYPT", "AUTH ", "CLEARTEXT"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// passwordFile returns the first line of a file. Only an open file by its number, such as
// /dev/stdin or the /dev/fd/63 of a shell's <(…), may be a pipe.
func passwordFile(name string) (string, error) {
	if name != os.DevNull && name != "/dev/stdin" && !strings.HasPrefix(name, "/dev/fd/") && !strings.HasPrefix(name, "/proc/self/fd/") {
		text, _, err := readLimited(name)
		line, _, _ := strings.Cut(string(text), "\n")
		return strings.TrimRight(line, "\r"), err
	}
	f, err := os.Open(name)
	if err != nil {
		return "", localProblem(name, err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", localProblem(name, err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
