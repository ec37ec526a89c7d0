package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/netip"
	"strings"

	"github.com/spf13/afero"
)

// Login is what a user said, and from where.
type Login struct {
	User     string
	Password string
	Host     string // the name given by HOST (RFC 7151), if any
	Remote   netip.AddrPort
}

// Authenticator decides who may log in. Authenticate is called from many
// sessions at once. An error refuses the login; its text is not shown to the
// user, who always reads the same 530.
type Authenticator interface {
	Authenticate(ctx context.Context, login Login) (*Account, error)
}

// AuthenticatorFunc is a function as an Authenticator.
type AuthenticatorFunc func(ctx context.Context, login Login) (*Account, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(ctx context.Context, login Login) (*Account, error) {
	return f(ctx, login)
}

// Account is what a user gets: a tree of files and what may be done with it.
type Account struct {
	FS   afero.Fs // its root is the session's "/"
	Home string   // the directory after login; default "/"
	Perm Perm
	Rate int64 // bytes per second of one session; 0: no limit
}

// Perm is a set of permissions, by family of verbs.
type Perm uint16

// The permissions.
const (
	PermRead      Perm = 1 << iota // RETR, SIZE, MDTM, HASH
	PermList                       // LIST, NLST, MLSD, MLST, STAT with a path
	PermStore                      // STOR and STOU of a name that is new
	PermOverwrite                  // STOR, APPE and REST over a file that exists
	PermDelete                     // DELE, RMD
	PermRename                     // RNFR, RNTO
	PermMakeDir                    // MKD, SITE SYMLINK
	PermChange                     // MFMT, MFF, MDTM with a time, SITE CHMOD, SITE UTIME
)

// The usual sets.
const (
	ReadOnly  = PermRead | PermList
	ReadWrite = ReadOnly | PermStore | PermOverwrite | PermDelete | PermRename | PermMakeDir | PermChange
	DropBox   = PermStore // upload only: nothing can be read, listed or replaced
)

// Has reports whether all of p2 is in p.
func (p Perm) Has(p2 Perm) bool { return p&p2 == p2 }

// ErrLogin is a wrong user or password.
var ErrLogin = errors.New("login incorrect")

// User is one entry of Static.
type User struct {
	Password string // an empty one lets nobody in
	Anyone   bool   // any password will do: an anonymous user
	Account  Account
}

// Static is a fixed set of users by name. The name "ftp" is taken for
// "anonymous" where only the latter is there.
type Static map[string]User

// Authenticate implements Authenticator. It takes the same time for a user that
// is not there as for a wrong password.
func (s Static) Authenticate(_ context.Context, login Login) (*Account, error) {
	u, ok := s[login.User]
	if !ok && strings.EqualFold(login.User, "ftp") || strings.EqualFold(login.User, "anonymous") {
		if anon, found := s["anonymous"]; found && !ok {
			u, ok = anon, true
		}
	}
	want, got := sha256.Sum256([]byte(u.Password)), sha256.Sum256([]byte(login.Password))
	same := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	if !ok || !u.Anyone && (!same || u.Password == "") {
		return nil, ErrLogin
	}
	account := u.Account
	return &account, nil
}

// String names the permissions.
func (p Perm) String() string {
	names := []string{"read", "list", "store", "overwrite", "delete", "rename", "make directories", "change"}
	var set []string
	for i, name := range names {
		if p&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, ", ")
}
