package serve

import (
	"fmt"
	"os"
	"path/filepath"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/runas"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// This file has what --run-as does. As root, the server reads its settings, certificates and keys, opens its logs and
// listeners, and then becomes the user. It opens everything that clients see, and its socket, as that user.

// findUser sets cf.user to the user of --run-as. Only the first call has an effect.
func (cf *config) findUser() {
	if cf.RunAs == "" || cf.sought {
		return
	}
	cf.sought = true
	var err error
	if cf.user, err = runas.Lookup(cf.RunAs); err != nil {
		cf.Wrong(&cf.RunAs, "%v", err)
	}
}

// becomes reports whether the process is root and is going to become another user.
func (cf *config) becomes() bool { return cf.user != nil && os.Geteuid() == 0 && !cf.trial }

// runtimeDirectory is the runtime directory of a server that root starts without systemd. The verbs that manage a server look
// there.
const runtimeDirectory = "/run/miniftp"

// prepareUser checks whether the process can become the user of --run-as, and sets what the environment says about the user.
func (cf *config) prepareUser() {
	cf.findUser()
	if cf.user == nil {
		return
	}
	needed, err := cf.user.Possible()
	if err != nil {
		cf.Wrong(&cf.RunAs, "%v", err)
	}
	if !needed {
		return
	}
	_ = os.Setenv("HOME", cf.user.Home)
	_ = os.Unsetenv("XDG_RUNTIME_DIR") // that of root
	if cf.Given(&cf.Control) {
		return
	}
	dir := os.Getenv("RUNTIME_DIRECTORY") // set by systemd
	if dir == "" {
		dir = runtimeDirectory
	}
	if err := cf.user.Directory(dir); err == nil {
		_ = os.Setenv("RUNTIME_DIRECTORY", dir)
	} else {
		_ = os.Unsetenv("RUNTIME_DIRECTORY") // the socket is then in the state directory
	}
}

// drop makes the process that of the user of --run-as, if it is not yet, and warns of what the user can't use.
func (s *serving) drop() error {
	if !s.cf.becomes() {
		return nil
	}
	if err := s.cf.user.Drop(); err != nil {
		return err
	}
	s.logs.log.Info("no longer root", "user", s.cf.user.Name, "uid", s.cf.user.UID, "gid", s.cf.user.GID)
	s.roots.forget()
	for _, w := range s.cf.unreadable() {
		s.warn(w)
	}
	if err := s.checkPrograms(); err != nil {
		return err
	}
	return s.checkRoots()
}

// checkPrograms returns an error if the user can't run a program that decides about logins or uploads, which the server would refuse.
// It warns of one that is run for events, which are kept until it can be run.
func (s *serving) checkPrograms() error {
	for _, one := range []struct {
		field    *[]string
		programs []string
	}{{&s.cf.Auth, programsOf(s.cf.Auth)}, {&s.cf.Gate, programsOf(s.cf.Gate)}, {&s.cf.Hook, programsOf(s.cf.Hook)}} {
		for _, program := range one.programs {
			err := callout.CheckProgram(program)
			if err == nil {
				continue
			}
			text := fmt.Sprintf("%s exec:%s: user %s, as whom the server runs: %v", s.cf.Word(one.field), ftp.Printable(program), ftp.Printable(s.cf.user.Name), err)
			if one.field != &s.cf.Hook {
				return s.cf.Located(one.field, verb.Usagef("%s", text))
			}
			s.warn(text)
		}
	}
	return nil
}

// unreadable returns a warning for each file that a reload reads but the user can't.
func (cf *config) unreadable() (warnings []string) {
	all := append([]string{cf.Path, cf.UsersFile, cf.TLSClientCA, cf.TLSFXPCA, cf.GateSecretFile, cf.AuthSecretFile}, cf.TLSCert...)
	for _, name := range append(all, cf.TLSKey...) {
		if name == "" || storage.Is(name) {
			continue
		}
		if _, _, err := local.ReadFile(name); err != nil {
			warnings = append(warnings, "user "+ftp.Printable(cf.user.Name)+" can't read "+ftp.Printable(name)+", so a change of it needs a restart")
		}
	}
	return warnings
}

// checkRoots warns of directories that the user can't open, or not write to although clients may. It returns an error if
// no root of any client can be opened.
func (s *serving) checkRoots() error {
	type refusedTree struct {
		tree settings.Tree
		err  error
	}
	var failed []refusedTree
	opened := false
	seen := map[string]bool{}
	for _, t := range s.cf.AllTrees() {
		spec := t.Spec()
		if !isDirectory(spec) {
			opened = opened || t.Mount == nil // it was opened before, and has nothing to do with the user
			continue
		}
		if err := s.asUser(spec, t); err != nil {
			if !seen[spec] {
				failed = append(failed, refusedTree{t, err})
			}
		} else {
			opened = opened || t.Mount == nil
		}
		seen[spec] = true
	}
	if !opened && len(failed) > 0 {
		return failed[0].err
	}
	for _, f := range failed {
		what := ": logins are refused"
		if f.tree.Mount != nil {
			what = ": " + f.tree.Owner() + " can't be entered"
		}
		s.warn(f.err.Error() + what + " until user " + ftp.Printable(s.cf.user.Name) + " can open it")
	}
	return nil
}

// asUser returns an error if the root of a client can't be opened, and warns if it can't be written to.
func (s *serving) asUser(spec string, t settings.Tree) error {
	files, lease, tried, err := s.roots.of(t).try(s.roots.ctx)
	if err != nil {
		return verb.LocalProblem(tried, err)
	}
	if files == nil { // it is made at the first login
		if err := local.MayCreate(spec); err != nil {
			s.warn("the root of " + t.Owner() + " does not exist, and " + ftp.Printable(s.cf.user.Name) + ", as whom the server runs, may not make it in " + ftp.Printable(tried))
		}
		return nil
	}
	_ = lease.Close()
	if t.Writes() {
		if err := local.MayCreate(filepath.Join(spec, "file")); err != nil {
			s.warn("user " + ftp.Printable(t.Name) + " may write to " + ftp.Printable(spec) + ", but " + ftp.Printable(s.cf.user.Name) + ", as whom the server runs, may not")
		}
	}
	return nil
}
