package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// replaces are the permissions to put something else in the place of a file.
const replaces = server.PermOverwrite | server.PermDelete | server.PermRename

// nestingOf returns the Nesting of the directories that are served to some users.
func (cf *config) nestingOf(to func(*account) bool) *fsroot.Nesting {
	var dirs []string
	seen := map[string]bool{}
	for _, a := range cf.users {
		if spec := cf.rootOf(a); to(a) && isDirectory(spec) && !seen[spec] {
			seen[spec] = true
			dirs = append(dirs, spec)
		}
	}
	return fsroot.NewNesting(dirs)
}

// exposed warns of what a configuration opens without saying so. A file that decides
// about the server is a mistake where users could replace it.
func (cf *config) exposed(certs *certificates) {
	served := cf.nestingOf(func(*account) bool { return true })
	cf.rootsInRoots(served)
	for _, s := range cf.secrets() {
		var perm server.Perm
		at := ""
		for dir, _, ok := served.Outer(s.file); ok; dir, _, ok = served.Outer(dir) {
			for _, a := range cf.users {
				if cf.rootOf(a) == dir {
					perm |= a.perm
				}
			}
			if at == "" {
				at = dir
			}
		}
		switch {
		case at == "":
		case perm&replaces != 0 && !s.onlyRead:
			cf.blame(s.setting, usagef("%s, %s, lies in %s, which is served, and users may replace it there: move it, or serve another directory", ftp.Printable(s.file), s.what, ftp.Printable(at)))
		default:
			cf.warn("%s, %s, lies in %s, which is served: move it, or serve another directory", ftp.Printable(s.file), s.what, ftp.Printable(at))
		}
	}
	if certs != nil {
		certs.warnOfTimes(cf.warn)
	}
	if geteuid() == 0 {
		cf.warn("running as root: a fault of the server would be root's; docs/configuration.md shows how a user of its own may have port 21")
	}
}

// rootsInRoots warns of users who see the files of others, in a line for each root that
// holds other ones.
func (cf *config) rootsInRoots(served *fsroot.Nesting) {
	inner := map[string][]string{}
	seen := map[string]bool{}
	for _, a := range cf.users {
		spec := cf.rootOf(a)
		if seen[spec] || !isDirectory(spec) {
			continue
		}
		seen[spec] = true
		if outer, _, ok := served.Outer(spec); ok {
			inner[outer] = append(inner[outer], spec)
		}
	}
	for _, outer := range slices.Sorted(maps.Keys(inner)) {
		one, more := inner[outer][0], ""
		if n := len(inner[outer]) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		cf.warn("the root of %s, %s%s, lies in %s: its files are also those of %s", cf.usersOf(one), ftp.Printable(one), more, ftp.Printable(outer), cf.usersOf(outer))
	}
}

// secret is a file of the server's own, and the setting that names it.
type secret struct {
	file, what, setting string
	onlyRead            bool // nothing of the server depends on it
}

// secrets are the files that no user should see.
func (cf *config) secrets() []secret {
	var all []secret
	add := func(setting, what string, files ...string) {
		for _, file := range files {
			if file != "" {
				all = append(all, secret{file: file, what: what, setting: setting})
			}
		}
	}
	if cf.file != nil {
		add("config", "the configuration", cf.file.name)
	}
	add("users-file", "the users file", cf.str("users-file"))
	if cf.str("tls") != "off" {
		keys := cf.list("tls-key")
		add("tls-key", "the private key", keys...)
		if certs := cf.list("tls-cert"); len(certs) > len(keys) {
			add("tls-cert", "a certificate with its private key", certs[len(keys):]...)
		}
		if cf.on("tls-self-signed") {
			if file, _, err := keptCertificate(); err == nil {
				add("tls-self-signed", "the certificate with its private key", file)
			}
		}
		add("tls-client-ca", "the authorities for clients", cf.str("tls-client-ca"))
	}
	add("log-file", "the log", cf.str("log-file"))
	add("xferlog", "the log of transfers", cf.str("xferlog"))
	if home, err := os.UserHomeDir(); err == nil {
		file := filepath.Join(home, ".netrc")
		if _, err := os.Lstat(file); err == nil {
			read := slices.ContainsFunc(cf.users, func(a *account) bool { return isRemote(cf.rootOf(a)) })
			all = append(all, secret{file: file, what: "which holds passwords", setting: "root", onlyRead: !read})
		}
	}
	return all
}

// usersOf names the users of a root, or some of them.
func (cf *config) usersOf(spec string) string {
	var names []string
	for _, a := range cf.users {
		if cf.rootOf(a) == spec {
			names = append(names, ftp.Printable(a.name))
		}
	}
	if len(names) > 4 {
		names = append(names[:3], "others")
	}
	return strings.Join(names, ", ")
}

// warnOfTimes warns of certificates that no client accepts by their time.
func (cs *certificates) warnOfTimes(warn func(format string, args ...any)) {
	for _, p := range cs.pairs {
		if err := wrongTime(p.cert.Leaf.NotBefore, p.cert.Leaf.NotAfter); err != nil {
			warn("%s: %v: clients that check it will refuse it", ftp.Printable(p.certFile), err)
		}
	}
}

// wrongTime says what is wrong with a certificate that is good between two times.
func wrongTime(from, to time.Time) error {
	const day = "2006-01-02 15:04 MST"
	switch now := time.Now(); {
	case now.After(to):
		return errors.New("the certificate expired at " + to.UTC().Format(day))
	case now.Before(from):
		return errors.New("the certificate is not valid before " + from.UTC().Format(day))
	}
	return nil
}
