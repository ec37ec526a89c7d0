package serve

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// replaces holds the permissions that let a user replace a file.
const replaces = server.PermOverwrite | server.PermDelete | server.PermRename

// maxNested limits how many directories around a file are looked at.
const maxNested = 16

// nestingOf returns the Nesting of the directories, roots and mounts, for which match returns true.
func (cf *config) nestingOf(match func(settings.Tree) bool) *fsroot.Nesting {
	var dirs []string
	seen := map[string]bool{}
	for _, t := range cf.AllTrees() {
		if spec := t.Spec(); !seen[spec] && match(t) && isDirectory(spec) {
			seen[spec] = true
			dirs = append(dirs, spec)
		}
	}
	return fsroot.NewNesting(dirs)
}

// servedTrees holds all trees for questions about paths.
type servedTrees struct {
	cf      *config
	nesting *fsroot.Nesting
	bySpec  map[string][]settings.Tree
	specs   []string // in the order of AllTrees
}

func (cf *config) servedTrees() *servedTrees {
	s := &servedTrees{cf: cf, nesting: cf.nestingOf(func(settings.Tree) bool { return true }), bySpec: map[string][]settings.Tree{}}
	for _, t := range cf.AllTrees() {
		spec := t.Spec()
		if s.bySpec[spec] == nil {
			s.specs = append(s.specs, spec)
		}
		s.bySpec[spec] = append(s.bySpec[spec], t)
	}
	return s
}

// holder returns a root in which users see a file, or external users could, and what any of them may do there.
func (s *servedTrees) holder(file string) (at string, perm server.Perm, ok bool) {
	found := func(spec string) {
		for _, t := range s.bySpec[spec] {
			perm |= permsOf(t.Perms())
		}
		if !ok {
			at, ok = spec, true
		}
	}
	dir, _, in := s.nesting.Outer(file)
	for range maxNested { // through links, directories can be inside each other
		if !in {
			break
		}
		found(dir)
		dir, _, in = s.nesting.Outer(dir)
	}
	if storage.Is(file) {
		for _, spec := range s.specs {
			if storage.Holds(spec, file) {
				found(spec)
			}
		}
	}
	if root, in := s.cf.ExternalRoot(file); in {
		perm |= replaces
		if !ok {
			at, ok = root, true
		}
	}
	return at, perm, ok
}

// exposed warns of files that a configuration may expose by accident. If users could replace a file that
// the server depends on, that is a mistake rather than a warning.
func (cf *config) exposed(served *servedTrees) {
	served.rootsInRoots()
	for _, s := range cf.secrets() {
		switch at, perm, ok := served.holder(s.file); {
		case !ok:
		case perm&replaces != 0 && !s.onlyRead:
			cf.Blame(s.setting, verb.Usagef("%s, %s, is in %s, which is served, and users can replace it: move it, or serve another directory", ftp.Printable(s.file), s.what, settings.ShownRoot(at)))
		default:
			cf.Warn("%s, %s, is in %s, which is served: move it, or serve another directory", ftp.Printable(s.file), s.what, settings.ShownRoot(at))
		}
	}
	if local.Geteuid() == 0 && cf.RunAs == "" {
		cf.Warn("running as root: a bug in the server could be used to become root; use --run-as USER, or a service without root (docs/systemd.md)")
	}
}

// rootsInRoots warns of users who can see the files of others because one root contains another, once
// for each outer root.
func (s *servedTrees) rootsInRoots() {
	inner := map[string][]string{}
	for _, spec := range s.specs {
		if !isDirectory(spec) {
			continue
		}
		if outer, _, ok := s.nesting.Outer(spec); ok && !s.onlyReads(outer, spec) {
			inner[outer] = append(inner[outer], spec)
		}
	}
	for _, outer := range slices.Sorted(maps.Keys(inner)) {
		one, more := inner[outer][0], ""
		if n := len(inner[outer]) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		s.cf.Warn("the root of %s, %s%s, is in %s: %s can see its files too", s.usersOf(one), settings.ShownRoot(one), more, settings.ShownRoot(outer), s.usersOf(outer))
	}
}

// onlyReads reports whether nobody but the user of a mount sees the directory outer, and the user may not write there.
// The mount then only gives other rights for a part of it. So it does if both are directories of the same external user.
func (s *servedTrees) onlyReads(outer, spec string) bool {
	mount := s.bySpec[spec][0]
	if mount.Mount == nil {
		return false
	}
	return !slices.ContainsFunc(s.bySpec[outer], func(t settings.Tree) bool {
		return !(mount.OfAnyName() && t.OfAnyName()) && (t.Account != mount.Account || t.Writes())
	})
}

// secret is a file that no user should see, and the setting that names it.
type secret struct {
	file, what string
	setting    any  // the pointer to its field, nil for --config
	onlyRead   bool // the server does not depend on it: replacing it gains nothing
}

// secrets returns the files that no user should see.
func (cf *config) secrets() []secret {
	var all []secret
	add := func(setting any, what string, files ...string) {
		for _, file := range files {
			if file != "" {
				all = append(all, secret{file: file, what: what, setting: setting})
			}
		}
	}
	add(nil, "the configuration", cf.Path)
	add(&cf.UsersFile, "the users file", cf.UsersFile)
	if cf.TLS != "off" {
		keys := cf.TLSKey
		add(&cf.TLSKey, "the private key", keys...)
		if certs := cf.TLSCert; len(certs) > len(keys) {
			add(&cf.TLSCert, "a certificate with its private key", certs[len(keys):]...)
		}
		if cf.TLSSelfSigned {
			if file, _, err := keptCertificate(); err == nil {
				add(&cf.TLSSelfSigned, "the certificate with its private key", file)
			}
		}
		add(&cf.TLSACME, "a private key of --tls-acme", cf.acmeFiles...)
		add(&cf.TLSClientCA, "the authorities for clients", cf.TLSClientCA)
	}
	add(&cf.ConsoleTokenFile, "the token of the live page", cf.ConsoleTokenFile)
	add(&cf.GateSecretFile, "the secret for webhooks", cf.GateSecretFile)
	add(&cf.Gate, "a program that checks uploads", programsOf(cf.Gate)...)
	add(&cf.AuthSecretFile, "the secret for sources of logins", cf.AuthSecretFile)
	add(&cf.Auth, "a program that decides about logins", programsOf(cf.Auth)...)
	if len(cf.Hook) > 0 {
		add(&cf.HookSecretFile, "the secret for hooks", cf.HookSecretFile)
		add(&cf.Hook, "a program that is run for events", programsOf(cf.Hook)...)
		if dir, err := cf.outboxDir(); err == nil {
			add(&cf.HookOutbox, "the outbox of events", filepath.Join(dir, "journal"))
		}
	}
	add(&cf.LogFile, "the log", cf.LogFile)
	add(&cf.Xferlog, "the log of transfers", cf.Xferlog)
	if home, err := os.UserHomeDir(); err == nil {
		file := filepath.Join(home, ".netrc")
		if _, err := os.Lstat(file); err == nil {
			read := slices.ContainsFunc(cf.AllTrees(), func(t settings.Tree) bool { return connect.IsRemote(t.Spec()) })
			all = append(all, secret{file: file, what: "which holds passwords", setting: &cf.Root, onlyRead: !read})
		}
	}
	return all
}

// programsOf returns the programs that a setting names as exec:/PATH/OF/PROGRAM.
func programsOf(setting []string) (all []string) {
	for _, s := range setting {
		if program, ok := strings.CutPrefix(s, "exec:"); ok && filepath.IsAbs(program) {
			all = append(all, program)
		}
	}
	return all
}

// usersOf returns the names of the users of a root, shortened if there are many.
func (s *servedTrees) usersOf(spec string) string {
	var names []string
	for _, t := range s.bySpec[spec] {
		if name := t.Who(); !slices.Contains(names, name) {
			names = append(names, name)
		}
		if len(names) > 4 {
			names = append(names[:3], "others")
			break
		}
	}
	return strings.Join(names, ", ")
}
