package connect

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

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Login finds the user and the password: the flags and the URL first, then
// MINIFTP_PASSWORD, then ~/.netrc, then a prompt on a terminal, else anonymous.
func Login(e *verb.Env, c *cli.Context, r *ftp.URL) (user, pass string, err error) {
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
	case r.HasPassword && (user == r.User || r.User == ""):
		return user, r.Password, nil
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

// IsAnonymous reports whether a login with this user name takes any password.
func IsAnonymous(user string) bool {
	return user == "" || strings.EqualFold(user, "anonymous") || strings.EqualFold(user, "ftp")
}

// prompt asks for the password. Where nobody can be asked it is left empty: not
// every server wants one.
func prompt(e *verb.Env, r *ftp.URL, user string) (string, string, error) {
	if !term.IsTerminal(e.In) {
		return user, "", nil
	}
	answers, err := e.AskHidden(fmt.Sprintf("Password of %s at %s: ", ftp.Printable(user), r.Addr))
	if err != nil {
		return user, "", err
	}
	return user, answers[0], nil
}

// LoginHint adds to the error of a refused login what it may have lacked.
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

// WantsTLS reports whether the words of a refusal say that TLS is missing. The code rarely says so.
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

// netrcEntry is one login of a .netrc file.
type netrcEntry struct {
	machine  string // "" is the default entry
	login    string
	password string
}

// netrcLogin looks the host up in $NETRC or ~/.netrc. A user that is known
// already must be the one of the entry.
func netrcLogin(addr, user string) (login, password string, ok bool, err error) {
	text, err := readNetrc()
	if err != nil {
		return "", "", false, err
	}
	host, _, _ := net.SplitHostPort(addr)
	for _, m := range parseNetrc(text) {
		if m.machine != "" && !strings.EqualFold(m.machine, host) {
			continue
		}
		if m.login != "" && (user == "" || user == m.login) {
			return m.login, m.password, true, nil
		}
	}
	return "", "", false, nil
}

// readNetrc returns the text of $NETRC or ~/.netrc; none if there is no such file.
func readNetrc() (string, error) {
	name := os.Getenv("NETRC")
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil // no home, no file
		}
		name = filepath.Join(home, ".netrc")
	}
	return netrcText(name)
}

// netrcText reads the file of that name. A missing file, and /dev/null, have no text.
func netrcText(name string) (string, error) {
	if name == os.DevNull {
		return "", nil
	}
	b, _, err := local.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(b), err
}

// parseNetrc reads the words of a .netrc file: machine NAME or default, then
// login, password and account in any order. A value may stand in double quotes;
// a # where a keyword is due begins a comment; a macro ends at an empty line.
// What it does not know it skips.
func parseNetrc(text string) []netrcEntry {
	var all []netrcEntry
	for {
		var word string
		if word, text = netrcWord(text); word == "" {
			return all
		}
		switch {
		case strings.HasPrefix(word, "#"):
			text = word[1:] + text
			_, text, _ = strings.Cut(text, "\n")
		case word == "macdef":
			_, text, _ = strings.Cut(text, "\n\n")
		case word == "default":
			all = append(all, netrcEntry{})
		case word == "machine":
			word, text = netrcWord(text)
			all = append(all, netrcEntry{machine: word})
		case word == "login" && len(all) > 0:
			all[len(all)-1].login, text = netrcWord(text)
		case word == "password" && len(all) > 0:
			all[len(all)-1].password, text = netrcWord(text)
		case word == "account":
			_, text = netrcWord(text)
		}
	}
}

const blanks = " \t\r\n"

// netrcWord takes the next word off; "" is the end.
func netrcWord(text string) (word, rest string) {
	text = strings.TrimLeft(text, blanks)
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, blanks)
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:]
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:]
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
