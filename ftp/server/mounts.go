package server

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// Mount is a directory of an account's tree with rules of its own: usually another storage, which is mounted there by a
// MountFs. The rules apply to all below Path, except to other mounts there.
//
// Clients can't remove, rename, replace or change the directory itself or its parents, and can't move a file into it
// or out of it.
type Mount struct {
	Path  string // absolute and clean, and not "/"
	Perm  Perm
	Quota Quota // of what is below Path; the zero value is no limit
}

// at returns the storage of a tree that a path is in, and the path inside that storage.
func at(tree afero.Fs, name string) (storage afero.Fs, inside string) {
	if m, ok := tree.(MountFs); ok {
		return m.At(name)
	}
	return tree, name
}

// at returns the storage that a path of the session is in, and the path inside that storage.
func (s *session) at(name string) (storage afero.Fs, inside string) { return at(s.account.FS, name) }

// isBelow reports whether a clean path is dir or below it.
func isBelow(name, dir string) bool {
	return strings.HasPrefix(name, dir) && (len(name) == len(dir) || name[len(dir)] == '/' || dir == "/")
}

// mountOf returns the innermost of the mounts that a clean path is in, or nil.
func mountOf(mounts []Mount, name string) (in *Mount) {
	for i := range mounts {
		if m := &mounts[i]; isBelow(name, m.Path) && (in == nil || len(m.Path) > len(in.Path)) {
			in = m
		}
	}
	return in
}

// isFixed reports whether a clean path is that of a mount, or of a parent of one.
func isFixed(mounts []Mount, name string) bool {
	for i := range mounts {
		if isBelow(mounts[i].Path, name) {
			return true
		}
	}
	return false
}

// permAt returns what the account may do with a clean path.
func (a *Account) permAt(name string) Perm {
	if m := mountOf(a.Mounts, name); m != nil {
		return m.Perm
	}
	return a.Perm
}

// may reports whether the account has a permission for a clean path.
func (s *session) may(p Perm, name string) bool { return s.account.permAt(name).Has(p) }

// mayRun reports whether the account has the permission that a command needs. For a row that checks it late, any path
// suffices.
func (s *session) mayRun(r *row, arg string) bool {
	a := s.account
	switch {
	case len(a.Mounts) == 0:
		return a.Compat.mayRun(r, a.Perm)
	case r.late:
		return a.Perm.Has(r.perm) || slices.ContainsFunc(a.Mounts, func(m Mount) bool { return m.Perm.Has(r.perm) })
	}
	return a.Compat.mayRun(r, a.permAt(s.subjectOr(r, arg)))
}

// subjectOr returns the path that a command is about. If there is none, it is the working directory.
func (s *session) subjectOr(r *row, arg string) string {
	if r.syntax.path == nil {
		return s.cwd
	}
	return s.pathFor(r, arg)
}

// mayUse reports whether the account has a permission for the path of a command that checks it late. If not, the reply
// says so.
func (s *session) mayUse(verb string, p Perm, name string) (ftp.Reply, bool) {
	if len(s.account.Mounts) == 0 || s.may(p, name) { // judge has seen the permission of an account without mounts
		return ftp.Reply{}, true
	}
	return s.noPermission(s.srv.table.byVerb[verb], p, name), false
}

// permissionDenied returns the refusal of a command for which the account lacks the permission.
func (s *session) permissionDenied(r *row, arg string) ftp.Reply {
	return s.noPermission(r, r.perm, s.subjectOr(r, arg))
}

// noPermission returns the refusal of a command because the account lacks a permission for a path.
func (s *session) noPermission(r *row, lacks Perm, name string) ftp.Reply {
	in := s.inMount(name)
	if s.set.Observer != nil {
		refused := ftp.Refused{Why: "the account has no permission to " + lacks.String() + in, Reason: ftp.ReasonPermission, Verb: r.verb}
		if r.syntax.path != nil {
			refused.Path = clip(name, maxPath)
		}
		s.emit(refused)
	}
	switch s.account.permAt(name) {
	case ReadOnly:
		return ftp.Replyf(550, "%s: permission denied: this account is read-only%s.", r.verb, in)
	case DropBox:
		return ftp.Replyf(550, "%s: permission denied: this account may only upload new files%s.", r.verb, in)
	}
	return ftp.Replyf(550, "%s: permission denied for this account%s.", r.verb, in)
}

// inMount returns where the rules for a path apply, for a message: in its mount, or outside of all. It is "" for an
// account without mounts.
func (s *session) inMount(name string) string {
	if len(s.account.Mounts) == 0 {
		return ""
	}
	return " in " + mountPath(mountOf(s.account.Mounts, name))
}

// mountPath returns the directory by which clients know a storage; nil is that of the account.
func mountPath(m *Mount) string {
	if m == nil {
		return "/"
	}
	return m.Path
}

// changesMount returns the refusal of a command that would change a mount point or a parent of one. Rows that are
// late look for themselves.
func (s *session) changesMount(r *row, arg string) (ftp.Reply, bool) {
	if !r.changes || r.late || len(s.account.Mounts) == 0 {
		return ftp.Reply{}, false
	}
	p := s.subjectOr(r, arg)
	if p == "/" || !isFixed(s.account.Mounts, p) || s.isMade(r, arg) {
		return ftp.Reply{}, false
	}
	s.emitRefusedCommand(r, arg, "a storage is mounted there, or below", ftp.ReasonPermission)
	return s.fixed(p), true
}

// fixed returns the refusal of a change of a mount point, or of a parent of one.
func (s *session) fixed(p string) ftp.Reply {
	if m := mountOf(s.account.Mounts, p); m != nil && m.Path == p {
		return ftp.Replyf(550, "%s: permission denied: another storage is mounted there.", p)
	}
	return ftp.Replyf(550, "%s: permission denied: another storage is mounted below it.", p)
}

// apart returns the refusal of a command with two paths that are not in the same mount, or not both in none.
func (s *session) apart(a, b string) (ftp.Reply, bool) {
	in, to := mountOf(s.account.Mounts, a), mountOf(s.account.Mounts, b)
	if in == to {
		return ftp.Reply{}, false
	}
	return ftp.Replyf(553, "%s and %s are on different storages: copy the file and delete the old one.", mountPath(in), mountPath(to)), true
}

// checkMounts returns an error if an account has a mount that is not possible.
func checkMounts(mounts []Mount) error {
	for i, m := range mounts {
		switch {
		case !strings.HasPrefix(m.Path, "/") || path.Clean(m.Path) != m.Path || m.Path == "/":
			return fmt.Errorf("the path %q of a mount is not absolute and clean, or is /", m.Path)
		case m.Quota.Bytes < 0 || m.Quota.Files < 0:
			return fmt.Errorf("a limit of the mount %s is negative", m.Path)
		}
		for _, other := range mounts[:i] {
			if other.Path == m.Path {
				return fmt.Errorf("there are two mounts at %s", m.Path)
			}
		}
	}
	return nil
}
