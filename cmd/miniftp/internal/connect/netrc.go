package connect

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"miniftp/cmd/miniftp/internal/local"
)

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

// netrcText reads the file of that name; no text if there is none, or if it is /dev/null.
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
