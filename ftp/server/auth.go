package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"miniftp/ftp/server/internal/guard"

	"github.com/spf13/afero"
)

// Login is what a client has sent to log in, and where it comes from.
type Login struct {
	User     string
	Password string
	Host     string // the name given by HOST (RFC 7151), if any
	Remote   netip.AddrPort
	TLS      *tls.ConnectionState // of the control connection; nil: in the clear
	// Certified means that the client has presented a certificate of User, as Options.CertUser says. There is
	// no password then.
	Certified bool

	verifier *verifier // of the Server; nil: made elsewhere
	regular  bool      // User has logged in from that address before
}

// Authenticator decides who may log in. Authenticate is called concurrently by many sessions. An error refuses
// the login. Its text is logged but not sent to the client, which gets the same 530 for all reasons except
// ErrAuthUnavailable.
type Authenticator interface {
	Authenticate(ctx context.Context, login Login) (*Account, error)
}

// AuthenticatorFunc adapts a function to an Authenticator.
type AuthenticatorFunc func(ctx context.Context, login Login) (*Account, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(ctx context.Context, login Login) (*Account, error) {
	return f(ctx, login)
}

// Account is what a user gets after login: a tree of files, and what may be done with it.
type Account struct {
	FS   afero.Fs // its root is "/" of the session
	Home string   // the working directory after login; default "/", also if Home is missing then
	Perm Perm

	// Open, if not nil, opens the files at each login and replaces FS. So the name of the tree is resolved at
	// the login and not at the start of the server. The closer, which may be nil, is closed when the session no
	// longer uses the files. An error refuses the login. It is logged, and does not count as a failed login.
	Open func(context.Context) (afero.Fs, io.Closer, error)

	// Dir is the path of the root on this host if that is a directory which Open opens. Clients can't take the rights of its
	// owner from it, nor from Home in it (SITE CHMOD). That is not checked by opening the files of all users, which could take long.
	Dir string

	Quota Quota // limits what the tree may contain, except in Mounts

	// Mounts are directories of FS with permissions and quotas of their own. FS must be a MountFs that has a storage at
	// the Path of each. Otherwise symlinks could lead around the permissions.
	Mounts []Mount

	RateDown, RateUp int64          // bytes per second of one session, to and from the client; 0: no limit
	MaxSessions      int            // of this user at once; 0: no limit
	Name             string         // by which MaxSessions counts; default: the name sent with USER
	Networks         []netip.Prefix // the user may log in only from these; empty: from anywhere

	// Expires is the end of the account: from then on logins fail like those with a wrong password, and a session ends at its
	// next command, after a running transfer. Zero: never.
	Expires time.Time

	// Umask has the permission bits that new files and directories lose, in addition to those of the umask of the process. With SITE
	// UMASK a client can only add to it. A file that replaces another one keeps the mode of that.
	Umask fs.FileMode

	// Accept lists the doubtful ends of an upload that are treated as whole files for this account.
	Accept Doubt

	// Compat adapts the server to a kind of client, such as cameras.
	Compat Compat

	// Owner identifies the user to whom interrupted uploads belong: only the same Owner can resume them. The
	// default is Name. Static adds the address for anonymous users, because they may be different people.
	Owner string

	// FXP permits data connections with hosts other than the client's, for copies from server to server. It is
	// a risk (RFC 2577): the user can make this server connect to any host at any port from 1024 on, and the
	// first host that connects to a passive port of the session gets the file.
	FXP bool
}

// Admits returns nil, or the error with which the Server refuses a login of the account, which is ErrLogin: the account
// has expired, or the client is in none of its Networks. The Server calls it after Authenticate, so an Authenticator need
// not. One whose refusals must all take the same time calls it itself, because the Server refuses at once: otherwise the
// time would confirm the password of such an account.
func (a *Account) Admits(login Login) error {
	switch {
	case !within(a.Networks, login.Remote.Addr()):
		return errNetwork
	case a.expired():
		return errExpired
	}
	return nil
}

// expired reports whether the account has expired.
func (a *Account) expired() bool { return !a.Expires.IsZero() && !time.Now().Before(a.Expires) }

// owner returns Owner, or its default for a user of that name.
func (a *Account) owner(name string) string {
	if a.Owner == "" {
		return name
	}
	return a.Owner
}

// Perm is a set of permissions, each for a family of verbs.
type Perm uint16

// The permissions.
const (
	PermRead      Perm = 1 << iota // RETR, SIZE, MDTM, HASH
	PermList                       // LIST, NLST, MLSD, MLST, STAT with a path
	PermStore                      // STOR and STOU of a new name
	PermOverwrite                  // STOR, APPE and REST to an existing file
	PermDelete                     // DELE, RMD
	PermRename                     // RNFR, RNTO
	PermMakeDir                    // MKD, SITE SYMLINK
	PermChange                     // MFMT, MFF, MDTM with a time, SITE CHMOD, SITE UTIME
)

// Common sets of permissions.
const (
	ReadOnly  = PermRead | PermList
	ReadWrite = ReadOnly | PermStore | PermOverwrite | PermDelete | PermRename | PermMakeDir | PermChange
	DropBox   = PermStore // upload only: nothing can be read, listed or replaced
)

// Has reports whether p includes all of p2.
func (p Perm) Has(p2 Perm) bool { return p&p2 == p2 }

// ErrLogin is returned by an Authenticator for an unknown user or a wrong password.
var ErrLogin = errors.New("login incorrect")

// ErrAuthUnavailable is returned, or wrapped, by an Authenticator that can't find out whether a login is correct, for
// example because a directory service does not answer. The login is refused with 421 "try again later", its text is
// logged, and it does not count as a failed login.
var ErrAuthUnavailable = errors.New("the login could not be checked")

// User is one entry of Static.
type User struct {
	Password string // a bcrypt hash ($2a$, $2b$, $2y$; see HashPassword) or clear text; empty: no login
	Anyone   bool   // accept any password: an anonymous user
	Account  Account
}

// Static is an Authenticator with a fixed set of users by name. It must not be modified once a Server uses it;
// pass a new one to Reload. If there is a user "anonymous" but no "ftp", the name "ftp" means "anonymous".
type Static map[string]User

// Check returns an error for a user who could never log in, or whose limits are not valid. New and Reload call
// it.
func (s Static) Check() error {
	for name, u := range s {
		if _, err := costOf(u.Password); err != nil {
			return fmt.Errorf("user %q: %w", name, err)
		}
		if err := checkNetworks(u.Account.Networks); err != nil {
			return fmt.Errorf("user %q: %w", name, err)
		}
		if u.Account.Quota.Bytes < 0 || u.Account.Quota.Files < 0 || u.Account.MaxSessions < 0 || u.Account.RateDown < 0 || u.Account.RateUp < 0 {
			return fmt.Errorf("user %q: a limit is negative", name)
		}
		if u.Account.Compat > CompatDevice {
			return fmt.Errorf("user %q: %d is not a valid Compat", name, u.Account.Compat)
		}
		if err := checkMounts(u.Account.Mounts); err != nil {
			return fmt.Errorf("user %q: %w", name, err)
		}
		if u.Account.Umask&^0o777 != 0 {
			return fmt.Errorf("user %q: the umask %O has other bits than permissions", name, u.Account.Umask)
		}
	}
	return nil
}

// Authenticate implements Authenticator. An unknown user, a wrong password, an account that has expired and a login
// from a forbidden network all take the same time, which is that of the most costly hash of the set.
func (s Static) Authenticate(ctx context.Context, login Login) (*Account, error) {
	name, u, known := s.find(login.User)
	switch {
	case !known || u.Password == "" && !u.Anyone && !login.Certified:
		login.getVerifier().burn(ctx, login, s.cost())
		return nil, errNoUser
	case !within(u.Account.Networks, login.Remote.Addr()):
		login.getVerifier().burn(ctx, login, s.cost())
		return nil, errNetwork
	case !u.Anyone && !login.Certified:
		if err := login.getVerifier().matches(ctx, login, u.Password, s.cost, u.Account.Admits(login)); err != nil {
			return nil, err
		}
	}
	account := u.Account
	if account.Name == "" {
		account.Name = name
	}
	if u.Anyone && account.Owner == "" {
		account.Owner = account.Name + "@" + guard.Origin(login.Remote.Addr()).String()
	}
	return &account, nil
}

// find returns the user of that name, and the name as the set spells it.
func (s Static) find(name string) (string, User, bool) {
	u, ok := s[name]
	if !ok && (strings.EqualFold(name, "ftp") || strings.EqualFold(name, "anonymous")) {
		name = "anonymous"
		u, ok = s[name]
	}
	return name, u, ok
}

// cost returns the cost of the most costly hash.
func (s Static) cost() int {
	most := 0
	for _, u := range s {
		if cost, err := costOf(u.Password); err == nil {
			most = max(most, cost)
		}
	}
	return most
}

// String returns the names of the permissions.
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
