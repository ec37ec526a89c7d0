package connect

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

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"

	xterm "golang.org/x/term"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Login finds the user and the password: the flags and the URL first, then
// MINIFTP_PASSWORD, then ~/.netrc, then a prompt on a terminal, else anonymous.
func Login(e *verb.Env, c *cli.Context, r *target.Remote) (user, pass string, err error) {
	user = r.User
	named := namedUser(c)
	if named != "" && (user == "" || flags.Asked(c, "user")) {
		user = named
	}
	if c.Bool("netrc") {
		nu, np, ok, err := netrcLogin(r.Addr, named)
		if err == nil && !ok {
			err = verb.Usagef("~/.netrc has no login for %s", r.Addr)
		}
		return nu, np, err
	}
	switch {
	case c.String("password-file") != "":
		pass, err = passwordFile(c.String("password-file"))
		return user, pass, err
	case r.HasPass && (user == r.User || r.User == ""):
		return user, r.Pass, nil
	}
	if p, ok := os.LookupEnv("MINIFTP_PASSWORD"); ok && user != "" {
		return user, p, nil
	}
	// One that may not be read is as good as none: it was not asked for.
	if nu, np, ok, err := netrcLogin(r.Addr, user); ok || err != nil && !errors.Is(err, fs.ErrPermission) {
		return nu, np, err
	}
	if IsAnonymous(user) {
		return user, "", nil
	}
	return prompt(e, r, user)
}

// namedUser is the value of --user. In the environment it may be that of serve,
// NAME:PASSWORD: the password is not sent as a part of the name.
func namedUser(c *cli.Context) string {
	name := c.String("user")
	if flags.FromEnv(c, "user") {
		name, _, _ = strings.Cut(name, ":")
	}
	return name
}

func IsAnonymous(user string) bool {
	return user == "" || strings.EqualFold(user, "anonymous") || strings.EqualFold(user, "ftp")
}

// prompt asks for the password. Where nobody can be asked it is left empty: not
// every server wants one.
func prompt(e *verb.Env, r *target.Remote, user string) (string, string, error) {
	in, ok := term.File(e.In)
	if !ok || !term.IsTerminal(in) {
		return user, "", nil
	}
	fd := int(in.Fd())
	was, err := xterm.GetState(fd)
	if err != nil {
		return user, "", err
	}
	fmt.Fprintf(e.Err, "Password of %s at %s: ", ftp.Printable(user), r.Addr)
	typed := make(chan error, 1)
	var pass []byte
	go func() {
		var err error
		pass, err = xterm.ReadPassword(fd)
		typed <- err
	}()
	select {
	case err = <-typed:
	case <-e.Ctx.Done(): // nothing ends the read: the process will
		fmt.Fprintln(e.Err)
		_ = xterm.Restore(fd, was)
		return user, "", context.Cause(e.Ctx)
	}
	fmt.Fprintln(e.Err)
	if errors.Is(err, io.EOF) {
		err = verb.Usagef("no password was typed")
	}
	return user, string(pass), err
}

// LoginHint says what a refused login may have lacked.
func LoginHint(err error, o client.Options) error {
	var reply *ftp.Error
	if errors.As(err, &reply) && o.TLS == client.NoTLS && WantsTLS(reply.Reply) {
		return fmt.Errorf("%w (the server wants TLS: use --tls, or ftpes:// in the URL)", err)
	}
	if errors.As(err, &reply) && (reply.Code == 332 || reply.Verb == "ACCT" && o.Account == "") {
		return fmt.Errorf("%w (the server asks for an account: name it with --account)", err)
	}
	if verb.ExitCode(err) != verb.ExitLogin || o.Password != "" || IsAnonymous(o.User) {
		return err
	}
	return fmt.Errorf("%w (no password was given: set MINIFTP_PASSWORD, or use --password-file or ~/.netrc)", err)
}

// WantsTLS reads in the words of a refusal that TLS is missing; its code rarely says so.
func WantsTLS(r ftp.Reply) bool {
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
		text, _, err := local.ReadFile(name)
		line, _, _ := strings.Cut(string(text), "\n")
		return strings.TrimRight(line, "\r"), err
	}
	f, err := os.Open(name)
	if err != nil {
		return "", verb.LocalProblem(name, err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", verb.LocalProblem(name, err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
