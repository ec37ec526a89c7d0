// Package users reads and writes the users file: lines NAME:PASSWORD[:PERM].
//
// It uses package local, and must not depend on the server that the users log in to.
package users

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

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Perms holds the permissions that a line may end with.
var Perms = []string{"ro", "rw", "drop"}

// BadName returns the reason why a name is not allowed in a users file, or "" if it is allowed.
func BadName(name string) string {
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

// Line is a line of a users file: NAME:PASSWORD[:PERM], like the argument of --user. A Line without a
// name is empty or a comment.
type Line struct {
	text                 string // the line as it is in the file
	Name, Password, Perm string
	Bad                  string // what is wrong with it
}

func (l Line) String() string {
	s := l.Name + ":" + l.Password
	if l.Perm != "" {
		s += ":" + l.Perm
	}
	return s
}

// Parse parses NAME:PASSWORD[:PERM]. A password may contain a colon only if a permission follows it:
// otherwise a misspelled permission would be treated as part of the password, and the user would have
// all permissions.
func Parse(s string) Line {
	l := Line{text: s}
	name, rest, ok := strings.Cut(s, ":")
	if i := strings.LastIndex(rest, ":"); i >= 0 && slices.Contains(Perms, rest[i+1:]) {
		rest, l.Perm = rest[:i], rest[i+1:]
	}
	if !ok || name == "" || rest == "" {
		l.Bad = "a line is NAME:PASSWORD or NAME:PASSWORD:PERM, with PERM ro, rw or drop"
	} else if i := strings.LastIndex(rest, ":"); i >= 0 && l.Perm == "" {
		l.Bad = fmt.Sprintf("a line is NAME:PASSWORD or NAME:PASSWORD:PERM, and %q is not a PERM; use ro, rw or drop (after a password with a colon, PERM is required)", rest[i+1:])
	}
	l.Name, l.Password = name, rest
	return l
}

// Read reads a users file. shared reports whether users other than its owner and group can read it.
func Read(name string) (lines []Line, shared bool, err error) {
	text, mode, err := storage.ReadFile(name)
	if err != nil {
		return nil, false, err
	}
	seen := map[string]bool{}
	for s := range strings.Lines(string(text)) {
		s = strings.TrimRight(s, "\r\n")
		if t := strings.TrimSpace(s); t == "" || strings.HasPrefix(t, "#") {
			lines = append(lines, Line{text: s})
			continue
		}
		l := Parse(s)
		if why := BadName(l.Name); l.Bad == "" && why != "" {
			l.Bad = "invalid name: " + why
		}
		if l.Bad == "" && seen[l.Name] {
			l.Bad = "duplicate user " + ftp.Printable(l.Name)
		}
		seen[l.Name] = true
		if l.Name == "" {
			l.Name = "?" // so that it is not treated as a comment
		}
		lines = append(lines, l)
	}
	return lines, mode.Perm()&0o004 != 0, nil
}

// Set adds a user to the file, or changes the password of one who is in it. It returns "added" or
// "changed".
func Set(ctx context.Context, file string, user Line) (did string, err error) {
	unlock, err := local.Lock(ctx, file)
	if err != nil {
		return "", err
	}
	defer unlock()
	lines, _, err := Read(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := OthersAreFine(file, lines, user.Name); err != nil {
		return "", err
	}
	did = "added"
	user.text = user.String()
	i := slices.IndexFunc(lines, func(l Line) bool { return l.Name == user.Name })
	if i < 0 {
		lines = append(lines, user)
	} else {
		did = "changed"
		if user.Perm == "" {
			user.Perm = lines[i].Perm
		}
		user.text = user.String()
		lines[i] = user
		rest := slices.DeleteFunc(lines[i+1:], func(l Line) bool { return l.Name == user.Name })
		lines = lines[:i+1+len(rest)]
	}
	return did, Write(file, lines)
}

// QuotedKey returns name as a TOML key, quoted if necessary.
func QuotedKey(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// OthersAreFine returns an error if a line is malformed, unless the line is about the user except. A file with
// such a line must not be rewritten: only a person can decide what the line was meant to be.
func OthersAreFine(file string, lines []Line, except string) error {
	for i, l := range lines {
		if l.Bad != "" && l.Name != except {
			return verb.Usagef("%s:%d: %s; nothing was changed", ftp.Printable(file), i+1, l.Bad)
		}
	}
	return nil
}

// Write replaces the file. It writes a new file and renames it, so that a server never reads half of it.
// Only its owner can read the new file, except that local.KeepOwner keeps the owner and the group's access.
func Write(file string, lines []Line) error {
	if to, err := filepath.EvalSymlinks(file); err == nil {
		file = to
	}
	var b bytes.Buffer
	for _, l := range lines {
		fmt.Fprintln(&b, l.text)
	}
	return local.ReplaceFile(file, b.Bytes(), func(f *os.File) error {
		old, err := os.Stat(file)
		if err != nil {
			return nil // there is no old file
		}
		return local.KeepOwner(f, old)
	})
}
