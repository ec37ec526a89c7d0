// Package users reads and writes the users file: lines NAME:PASSWORD[:PERM].
//
// It stands on local. It must not know the server that the users log in to.
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
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// Perms are the permissions that have a name.
var Perms = []string{"ro", "rw", "drop"}

// BadName returns the reason why a name can't stand in a users file; "" if it can.
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

// Line is a line of a users file: NAME:PASSWORD[:PERM], as --user takes it. One
// without a name is empty or a comment.
type Line struct {
	text                 string // as it stands in the file
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

// Parse reads NAME:PASSWORD[:PERM]. A password may hold a colon only if a permission
// follows it: else a mistyped permission would be part of the password, and the user
// could do everything.
func Parse(s string) Line {
	l := Line{text: s}
	name, rest, ok := strings.Cut(s, ":")
	if i := strings.LastIndex(rest, ":"); i >= 0 && slices.Contains(Perms, rest[i+1:]) {
		rest, l.Perm = rest[:i], rest[i+1:]
	}
	if !ok || name == "" || rest == "" {
		l.Bad = "a line is NAME:PASSWORD or NAME:PASSWORD:PERM, with PERM ro, rw or drop"
	} else if i := strings.LastIndex(rest, ":"); i >= 0 && l.Perm == "" {
		l.Bad = fmt.Sprintf("a line is NAME:PASSWORD or NAME:PASSWORD:PERM, and %q is no PERM: it is ro, rw or drop (a password with a colon needs one after it)", rest[i+1:])
	}
	l.Name, l.Password = name, rest
	return l
}

// Read reads a users file; shared tells that others than its owner and group may
// read it.
func Read(name string) (lines []Line, shared bool, err error) {
	text, mode, err := local.ReadFile(name)
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
			l.Bad = "that name can't be: " + why
		}
		if l.Bad == "" && seen[l.Name] {
			l.Bad = "user " + ftp.Printable(l.Name) + " stands here twice"
		}
		seen[l.Name] = true
		if l.Name == "" {
			l.Name = "?" // it is no comment
		}
		lines = append(lines, l)
	}
	return lines, mode.Perm()&0o004 != 0, nil
}

// Set puts a user into the file, or a new password to one who is there.
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

// QuotedKey returns a name as TOML takes it for a key.
func QuotedKey(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// OthersAreFine finds a line that serve would refuse, and that is not about the user
// who is to be changed: whose it is, and what he may, has to be asked of a person.
func OthersAreFine(file string, lines []Line, but string) error {
	for i, l := range lines {
		if l.Bad != "" && l.Name != but {
			return verb.Usagef("%s:%d: %s; nothing was changed", ftp.Printable(file), i+1, l.Bad)
		}
	}
	return nil
}

// Write writes the file anew and renames it into place, so that a server never
// reads half of it. It is for its owner's eyes only; who owned it still does.
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
			return nil // there was none
		}
		return local.KeepOwner(f, old)
	})
}
