package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"miniftp/ftp"
)

// permWords are the permissions that have a name.
var permWords = []string{"ro", "rw", "drop"}

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
	if i := strings.LastIndex(rest, ":"); i >= 0 && slices.Contains(permWords, rest[i+1:]) {
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

// quotedKey is a name as TOML takes it for a key.
func quotedKey(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" {
		return name
	}
	return fmt.Sprintf("%q", name)
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
