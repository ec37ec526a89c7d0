package settings

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// placeholders stand for the names of the user and the group in a root.
var placeholders = regexp.MustCompile(`\{(user|group)\}`)

// maxElement limits the length of a name in a root. It is that of common filesystems.
const maxElement = 255

// Template returns the root of a user as it is written, with placeholders.
func (cf *Config) Template(a *Account) string { return cmp.Or(a.Root, cf.Root) }

// RootOf returns the root of a user: the user's own, or that of the server.
func (cf *Config) RootOf(a *Account) string { return expand(cf.Template(a), a) }

// expand replaces the placeholders in a root.
func expand(template string, a *Account) string {
	if !strings.Contains(template, "{") {
		return template
	}
	return strings.NewReplacer("{user}", a.Name, "{group}", a.Group).Replace(template)
}

// OnDemand reports whether a root or a mount has a placeholder. Such a root is made at the first login and is open only while
// there are sessions. It is the directory below of the root base: of its parent or, in a bucket, of what comes before the placeholder.
func (t Tree) OnDemand() (base, below string, ok bool) {
	template, a := t.template, t.Account
	first := placeholders.FindStringIndex(template)
	switch {
	case first == nil:
		return "", "", false
	case storage.IsDirectory(template):
		root := filepath.Clean(t.spec)
		return filepath.Dir(root), filepath.Base(root), true
	}
	place, err := storage.Split(template)
	if err != nil || checkTemplate(template) != nil {
		return "", "", false // checkTemplate has recorded it
	}
	at := strings.LastIndex(template[:first[0]], "/")
	return template[:at] + place.Tail, expand(strings.TrimSuffix(template[at+1:], place.Tail), a), true
}

// Own reports whether a directory, which is the root on demand of a user or its parent, is not that of other users.
func (t Tree) Own(dir string) bool {
	_, _, ok := t.OnDemand()
	return ok && (dir == t.Spec() || placeholders.MatchString(filepath.Dir(t.template)))
}

// checkTemplates records roots whose placeholders can't be replaced as mistakes. It moves the users whose names can't be in their roots
// from Users to Rootless.
func (cf *Config) checkTemplates() {
	if err := checkTemplate(cf.Root); err != nil {
		cf.Blame(&cf.Root, err)
	}
	var rest []*Account
	for _, a := range cf.Users {
		if err := checkTemplate(a.Root); err != nil {
			cf.Problem(cf.LocatedUser(a, &a.Root, err))
		}
		a.rootless = checkName(a, cf.Template(a))
		if a.rootless == nil {
			rest = append(rest, a)
			continue
		}
		cf.Rootless = append(cf.Rootless, a)
		cf.Warn("%s: user %s can't log in: %v", a.from, a.shown(), a.rootless)
	}
	if len(rest) == 0 && len(cf.Users) > 0 && !cf.AsksOthers() {
		cf.Problem(verb.Usagef("nobody could log in: %v", cf.Users[0].rootless))
	}
	cf.Users = rest
}

// checkTemplate returns an error if root has a placeholder where none is possible.
func checkTemplate(root string) error {
	switch {
	case !placeholders.MatchString(root) || storage.IsDirectory(root):
		return nil
	case !storage.HasDirectories(root):
		return verb.Usagef("root %s: %s is possible only in the path of a directory or of a bucket", ftp.MaskURL(root), placeholders.FindString(root))
	}
	place, err := storage.Split(root)
	if err == nil && placeholders.MatchString(place.Head+place.Tail) {
		err = verb.Usagef("root %s: %s is possible only in the path after the bucket", ftp.MaskURL(root), placeholders.FindString(root))
	}
	return err
}

// checkName returns an error if the name of the user or the group would be in the path of the root and could lead elsewhere than to one
// directory.
func checkName(a *Account, template string) error {
	for _, placeholder := range placeholders.FindAllString(template, -1) {
		name := expand(placeholder, a)
		err := badElement(name)
		switch {
		case err == nil && !storage.IsDirectory(template) && strings.Contains(name, "?"):
			err = errors.New(`it contains "?"`)
		case placeholder == "{group}" && name == "":
			return fmt.Errorf("the root %s needs a group, and the user has none", ftp.MaskURL(template))
		}
		if err != nil {
			return fmt.Errorf("the name can't be a part of the root %s as %s: %w", ftp.MaskURL(template), placeholder, err)
		}
	}
	return nil
}

// badElement returns why name can't be one element of a path, or nil.
func badElement(name string) error {
	switch {
	case name == "":
		return errors.New("it is empty")
	case strings.HasPrefix(name, "."):
		return errors.New("it begins with a dot")
	case strings.ContainsAny(name, `/\:`):
		return errors.New(`it contains "/", "\" or ":"`)
	case !utf8.ValidString(name):
		return errors.New("it is not valid UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("it contains a control character")
	case len(name) > maxElement:
		return fmt.Errorf("it has more than %d bytes", maxElement)
	}
	if _, err := filepath.Localize(name); err != nil {
		return errors.New("this system does not allow such names")
	}
	return nil
}

// WhyRootless returns why the user of Config.Rootless has no root.
func (a *Account) WhyRootless() error { return a.rootless }
