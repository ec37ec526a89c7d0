package serve

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// static returns the accounts with their files, which roots opens at each login. A root or home that only
// one user has is a warning if it can't be used, so that the others can still log in. So is a mount. failed is for tryTree.
func (cf *config) static(roots *roots, failed map[string]bool) server.Static {
	static := server.Static{}
	for _, a := range cf.Users {
		for _, t := range cf.Trees(a) {
			cf.tryTree(roots, roots.of(t), t, failed)
			cf.warnOfTree(t)
		}
		if a.Expired(time.Now()) {
			cf.Warn("%s: user %s: the account has expired: logins are refused", cf.UserFrom(a, &a.Expires), ftp.Printable(a.Name))
		}
		static[a.Name] = server.User{Password: a.Password, Anyone: a.Anyone, Account: cf.account(a, roots.of)}
	}
	for _, a := range cf.Rootless {
		static[a.Name] = server.User{Password: a.Password, Anyone: a.Anyone, Account: rootless(a.WhyRootless())}
	}
	return static
}

// rootless returns the account of a user who can't log in because of the root.
func rootless(why error) server.Account {
	return server.Account{Open: func(context.Context) (afero.Fs, io.Closer, error) { return nil, nil, why }}
}

// account returns the account of a user whose trees get returns.
func (cf *config) account(a *settings.Account, get func(settings.Tree) *servedTree) server.Account {
	return server.Account{
		Open: cf.opener(a, get, (*servedTree).login), Dir: directoryOf(cf.Trees(a)),
		Home: a.Home, Perm: permsOf(a.Perms), RateDown: a.Down, RateUp: a.Up,
		Quota: server.Quota{Bytes: a.Quota, Files: a.QuotaFiles}, Mounts: mountsOf(a),
		MaxSessions: a.Sessions, Networks: a.Networks, FXP: a.FXP, Expires: a.Expires, Umask: a.Umask,
		Accept: doubtsOf(a.Accept) | doubtsOf(settings.Words(cf.AcceptUpload)), Compat: cf.compatOf(a),
	}
}

// opener returns the function that opens the files of a user. get returns the user's trees, and acquire opens one: servedTree.login
// at a login.
func (cf *config) opener(a *settings.Account, get func(settings.Tree) *servedTree, acquire acquirer) func(context.Context) (afero.Fs, io.Closer, error) {
	var root openable
	var mounts []openable
	for _, t := range cf.Trees(a) {
		o := openable{tree: get(t), acquire: acquire, readOnly: !t.Writes()}
		if t.Mount == nil {
			root = o
			continue
		}
		o.path = t.Mount.Path
		mounts = append(mounts, o)
	}
	for _, m := range a.Mounts {
		if err := m.Rootless(); err != nil {
			mounts = append(mounts, openable{path: m.Path, err: err})
		}
	}
	return opener(root, mounts)
}

// directoryOf returns the root of a user, whose trees these are, if it is a directory of this host.
func directoryOf(trees []settings.Tree) string {
	for _, t := range trees {
		if spec := t.Spec(); t.Mount == nil && isDirectory(spec) {
			return spec
		}
	}
	return ""
}

// tryTree opens a tree of a user once, and records what is wrong with it. A storage of mounts that has failed is not tried
// again, because each try may take long.
func (cf *config) tryTree(roots *roots, tree *servedTree, t settings.Tree, failed map[string]bool) {
	ctx, at := roots.ctx, t.Spec()
	if t.Mount != nil { // it must not keep the server from starting
		if failed[t.Storage()] {
			return
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, mountTime)
		defer cancel()
	}
	files, lease, spec, err := tree.try(ctx)
	if err != nil {
		failed[t.Storage()] = t.Mount != nil
		cf.rootFailed(t, spec, err)
	} else if files != nil {
		if t.Mount == nil && t.Home != "" && !inMount(t.Account, t.Home) {
			if fi, err := files.Stat(t.Home); err != nil || !fi.IsDir() {
				cf.Warn("%s: %s: home %q is not a directory below %q: sessions begin in /", cf.UserFrom(t.Account, &t.Home), t.Owner(), t.Home, settings.ShownRoot(ftp.MaskURL(at)))
			}
		}
		_ = lease.Close()
	}
}

// warnOfTree records what a user can't have in a tree.
func (cf *config) warnOfTree(t settings.Tree) {
	at := t.Spec()
	if t.Umask != 0 && (connect.IsRemote(at) || !isDirectory(at) && storage.HasDirectories(at)) {
		cf.Warn("%s: user %s: umask has no effect in %s, where files have no permissions of this system", cf.UserFrom(t.Account, &t.Umask), ftp.Printable(t.Name), ftp.MaskURL(at))
	}
	if t.Writes() && !connect.IsRemote(at) && !storage.Writable(at) {
		cf.Warn("%s: user %s may write, but %s can't be changed", cf.UserFrom(t.Account, t.PermField()), ftp.Printable(t.Name), ftp.Printable(at))
	}
}

// inMount reports whether a directory of a user is in a mount, or only exists for one.
func inMount(a *settings.Account, dir string) bool {
	dir = "/" + strings.Trim(dir, "/") + "/"
	return slices.ContainsFunc(a.Mounts, func(m *settings.Mount) bool {
		return strings.HasPrefix(dir, m.Path+"/") || strings.HasPrefix(m.Path, dir)
	})
}

// rootFailed records that a user's root, or for one on demand its parent spec, can't be opened. For the root of the server that is a mistake,
// unless it is below a directory in which users may write, who may have removed it. A mount that is spelled correctly may be opened later.
func (cf *config) rootFailed(t settings.Tree, spec string, err error) {
	a := t.Account
	missing := errors.Is(err, fs.ErrNotExist)
	err = rootProblem(spec, err)
	_, _, nested := cf.nesting.Outer(spec)
	switch {
	case t.Mount != nil && missing && spec == cf.RootOf(a) && t.Own(spec): // it is made before the mount
	case missing && t.OfAnyName() && t.Own(spec): // a user who logs in may have it
	case t.Mount != nil && verb.ExitCode(err) != verb.ExitUsage:
		cf.Warn("%s: %s: %s: the mount can't be entered until it can be opened", cf.UserFrom(a, t.Field()), t.Owner(), settings.ShownRoot(err.Error()))
	case verb.ExitCode(err) != verb.ExitUsage && (a.Root != "" || isDirectory(spec) && nested || t.Own(spec)):
		cf.Warn("%s: %s: %s: logins are refused until it can be opened", cf.UserFrom(a, &a.Root), t.Owner(), settings.ShownRoot(err.Error()))
	case t.Mount != nil || a.Root != "":
		cf.Problem(cf.LocatedUser(a, t.Field(), err))
	case !slices.ContainsFunc(cf.Problems, func(p error) bool { return strings.HasSuffix(p.Error(), err.Error()) }):
		cf.Blame(&cf.Root, err)
	}
}
