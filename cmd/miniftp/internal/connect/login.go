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

// Login returns the user and the password. It takes them from the flags and the URL, then
// MINIFTP_PASSWORD, then ~/.netrc, and then asks for the password on a terminal. Without a user the login is
// anonymous.
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
	// A ~/.netrc that this user may not read is ignored, because no flag asks for it.
	if nu, np, ok, err := netrcLogin(r.Addr, user); ok || err != nil && !errors.Is(err, fs.ErrPermission) {
		return nu, np, err
	}
	if IsAnonymous(user) {
		return user, "", nil
	}
	return prompt(e, r, user)
}

// namedUser returns the value of --user. In the environment it may be meant for serve, which accepts
// NAME:PASSWORD; then only the name is returned, so that the password is not sent as a part of it.
func namedUser(c *cli.Context) string {
	name := c.String("user")
	if flags.FromEnv(c, "user") {
		name, _, _ = strings.Cut(name, ":")
	}
	return name
}

// IsAnonymous reports whether servers accept any password for this user name.
func IsAnonymous(user string) bool {
	return user == "" || strings.EqualFold(user, "anonymous") || strings.EqualFold(user, "ftp")
}

// prompt asks for the password on a terminal. Otherwise the password is empty, because not every server asks
// for one.
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

// LoginHint adds to the error of a refused login what the user can do about it.
func LoginHint(err error, o client.Options) error {
	var reply *ftp.Error
	if errors.As(err, &reply) && o.TLS == client.NoTLS && WantsTLS(reply.Reply) {
		return fmt.Errorf("%w (the server requires TLS: use --tls, or ftpes:// in the URL)", err)
	}
	if errors.As(err, &reply) && (reply.Code == 332 || reply.Verb == "ACCT" && o.Account == "") {
		return fmt.Errorf("%w (the server asks for an account: give it with --account)", err)
	}
	if verb.ExitCode(err) != verb.ExitLogin || o.Password != "" || IsAnonymous(o.User) {
		return err
	}
	return fmt.Errorf("%w (no password was given: set MINIFTP_PASSWORD, or use --password-file or ~/.netrc)", err)
}

// WantsTLS reports whether the text of a refusal says that TLS is required. The reply code rarely shows that.
func WantsTLS(r ftp.Reply) bool {
	text := strings.ToUpper(r.Text())
	for _, word := range []string{"TLS", "SSL", "ENCRYPT", "AUTH ", "CLEARTEXT"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// passwordFile returns the first line of a file. The file may be a pipe only if it is named by its
// descriptor, such as /dev/stdin, or /dev/fd/63 for the <(…) of a shell.
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

// netrcEntry is one login in a .netrc file.
type netrcEntry struct {
	machine  string // "" is the default entry
	login    string
	password string
}

// netrcLogin looks up the host in $NETRC or ~/.netrc. If user is not "", only an entry with that login
// matches.
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

// readNetrc returns the text of $NETRC or ~/.netrc, or "" if there is no such file.
func readNetrc() (string, error) {
	name := os.Getenv("NETRC")
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil // without a home directory there is no file
		}
		name = filepath.Join(home, ".netrc")
	}
	return netrcText(name)
}

// netrcText returns the text of a file, or "" if it does not exist or is /dev/null.
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

// parseNetrc parses a .netrc file. An entry is machine NAME or default, followed by login, password and
// account in any order. A value may be in double quotes. A # in the place of a keyword begins a comment. A
// macro ends at an empty line. Unknown words are skipped.
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

// netrcWord returns the next word and the rest of text. At the end the word is "".
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
