package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"miniftp/ftp/server/internal/guard"

	"github.com/spf13/afero"
)

// Login is what a user said, and from where.
type Login struct {
	User     string
	Password string
	Host     string // the name given by HOST (RFC 7151), if any
	Remote   netip.AddrPort
	TLS      *tls.ConnectionState // of the control connection; nil if it is clear
	// Certified: the client's certificate is User's, as Options.CertUser says. There
	// is no password then.
	Certified bool

	verifier *verifier // of the Server
	regular  bool      // User has logged in from there before
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
	Home string   // the directory after login; default "/", also if it is missing at the login
	Perm Perm

	// Open, if it is not nil, opens the files at each login, in place of FS: they are
	// what their name means then. The closer, which may be nil, is closed when the
	// session no longer uses the files. An error refuses the login; it is logged, and
	// does not count as a failed one.
	Open func(context.Context) (afero.Fs, io.Closer, error)

	RateDown, RateUp int64          // bytes per second of one session, to the client and from it; 0: no limit
	MaxSessions      int            // at once; 0: no limit
	Name             string         // by which MaxSessions counts; default: the name that USER gave
	Networks         []netip.Prefix // from which the user may log in; none: from everywhere

	// Accept are the doubtful ends of an upload that make a whole file all the same.
	Accept Doubt

	// Owner is whose partial uploads the user's are: nobody else resumes them. The default
	// is Name. Static gives anonymous users their address, as they may be anyone.
	Owner string

	// FXP lets the user's data connections be made with other hosts than the one that
	// he calls from, so that he can copy from server to server. It opens what is closed
	// otherwise (RFC 2577): he can make this server call any host at any port from 1024
	// on, and whoever finds the port that it listens on for him first gets the file.
	FXP bool
}

// owner returns Owner or its default for a user of that name.
func (a *Account) owner(name string) string {
	if a.Owner == "" {
		return name
	}
	return a.Owner
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
	Password string // a bcrypt hash ($2a$, $2b$, $2y$; see HashPassword) or clear text; an empty one lets nobody in
	Anyone   bool   // any password will do: an anonymous user
	Account  Account
}

// Static is a set of users by name; it must not change once a Server has it, so
// give Reload a new one. The name "ftp" is taken for "anonymous" where only the
// latter is there.
type Static map[string]User

// Check finds users who could never log in. New and Reload call it.
func (s Static) Check() error {
	for name, u := range s {
		if _, err := costOf(u.Password); err != nil {
			return fmt.Errorf("user %q: %w", name, err)
		}
		if err := checkNetworks(u.Account.Networks); err != nil {
			return fmt.Errorf("user %q: %w", name, err)
		}
		if u.Account.MaxSessions < 0 || u.Account.RateDown < 0 || u.Account.RateUp < 0 {
			return fmt.Errorf("user %q: a limit is negative", name)
		}
	}
	return nil
}

// Authenticate implements Authenticator. A user that is not there, a wrong password
// and the right one from the wrong network all take the same time: that of the most
// costly hash of the set.
func (s Static) Authenticate(ctx context.Context, login Login) (*Account, error) {
	name, u, known := s.find(login.User)
	switch {
	case !known || u.Password == "" && !u.Anyone && !login.Certified:
		login.by().work(ctx, login, s.cost())
		return nil, errNoUser
	case !within(u.Account.Networks, login.Remote.Addr()):
		login.by().work(ctx, login, s.cost())
		return nil, errNetwork
	case !u.Anyone && !login.Certified:
		if err := login.by().matches(ctx, login, u.Password, s.cost); err != nil {
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

// find is the user of that name, and how the set spells it.
func (s Static) find(name string) (string, User, bool) {
	u, ok := s[name]
	if !ok && (strings.EqualFold(name, "ftp") || strings.EqualFold(name, "anonymous")) {
		name = "anonymous"
		u, ok = s[name]
	}
	return name, u, ok
}

// cost is that of the most costly hash.
func (s Static) cost() int {
	most := 0
	for _, u := range s {
		if cost, err := costOf(u.Password); err == nil {
			most = max(most, cost)
		}
	}
	return most
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
