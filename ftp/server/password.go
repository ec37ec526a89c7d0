package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"miniftp/ftp/server/internal/guard"

	"golang.org/x/crypto/bcrypt"
)

// Bounds on hashes. One step of cost doubles the time that a login takes.
const (
	hashCost    = bcrypt.DefaultCost // 10: about a twelfth of a second
	maxHashCost = 15                 // some seconds; more would let logins alone exhaust the server
	maxPassword = 72                 // bytes: bcrypt looks at no more
)

// HashPassword is the bcrypt hash of a password, for User.Password. bcrypt sees
// 72 bytes of a password: longer ones are an error, as an empty one is.
func HashPassword(password string) (string, error) {
	switch {
	case password == "":
		return "", errors.New("the password is empty")
	case len(password) > maxPassword:
		return "", fmt.Errorf("the password has %d bytes; bcrypt takes %d at most", len(password), maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
	return string(hash), err
}

// isHash reports whether stored is a bcrypt hash, usable or not. $2y$ is what
// htpasswd writes; the three differ in name only.
func isHash(stored string) bool {
	for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
		if strings.HasPrefix(stored, prefix) {
			return true
		}
	}
	return false
}

// otherHashes begin hashes of kinds that are not known here. Taken for clear text,
// such a hash would itself be the password.
var otherHashes = []string{"$1$", "$5$", "$6$", "$7$", "$y$", "$apr1$", "$argon2", "$scrypt$", "$pbkdf2", "$2$", "$2x$", "{SHA", "{SSHA"}

// costOf is the cost of a stored password: 0 for clear text. An error is a hash
// that no password can match.
func costOf(stored string) (int, error) {
	for _, prefix := range otherHashes {
		if strings.HasPrefix(stored, prefix) {
			return 0, errors.New("the password is a hash of a kind that is not known here: use bcrypt")
		}
	}
	if !isHash(stored) {
		return 0, nil
	}
	cost, err := bcrypt.Cost([]byte(stored))
	switch {
	case err != nil, len(stored) != 60:
		return 0, errors.New("the password looks like a bcrypt hash and is none")
	case cost > maxHashCost:
		return 0, fmt.Errorf("the bcrypt hash has cost %d; %d is the most that a server can bear", cost, maxHashCost)
	}
	return cost, nil
}

// Why a login was refused. The log reads it, the user never does.
var (
	errNoUser   = fmt.Errorf("%w: there is no such user", ErrLogin)
	errNetwork  = fmt.Errorf("%w: the user may not log in from that address", ErrLogin)
	errPassword = fmt.Errorf("%w: wrong password", ErrLogin)
	errTooLong  = fmt.Errorf("%w: bcrypt takes no password of more than %d bytes", ErrLogin, maxPassword)
)

// Verify is for Authenticators that keep their users elsewhere: it returns nil if
// the login's password is the one that stored stands for, a bcrypt hash or clear
// text, and otherwise an error that is ErrLogin or ctx's. An empty stored refuses,
// after the time that a hash takes: so pass it for a user that is not there. Only
// a few hashes are computed at once, and one that matched is remembered for a
// while, so that the logins of a busy client are cheap.
func (l Login) Verify(ctx context.Context, stored string) error {
	v := l.by()
	if stored == "" {
		v.work(ctx, l, hashCost)
		return errNoUser
	}
	return v.matches(ctx, l, stored, func() int { return 0 })
}

// by is who verifies: the Server's, where it made the Login.
func (l Login) by() *verifier {
	if l.verifier != nil {
		return l.verifier
	}
	return lone()
}

var lone = sync.OnceValue(newVerifier)

// maxKnown is how many passwords a verifier remembers.
const maxKnown = 4096

// verifier compares passwords with hashes.
type verifier struct {
	slots   *guard.Queue                      // of hashes computed at once
	compare func(hash, password []byte) error // bcrypt
	key     [sha256.Size]byte                 // of this process
	mu      sync.Mutex
	known   map[[sha256.Size]byte]time.Time // what matched, and until when that is believed
}

// halfOfTheProcessors is how many may compute hashes: sessions need the others.
func halfOfTheProcessors() int { return (runtime.GOMAXPROCS(0) + 1) / 2 }

func newVerifier() *verifier {
	v := &verifier{
		slots:   guard.NewQueue(halfOfTheProcessors()),
		compare: bcrypt.CompareHashAndPassword,
		known:   map[[sha256.Size]byte]time.Time{},
	}
	_, _ = rand.Read(v.key[:]) // it never fails
	return v
}

// matches compares the password with what is stored, which is not empty. A refusal takes the
// time of a hash of cost most, in one turn: a second wait for a slot would tell, too.
func (v *verifier) matches(ctx context.Context, l Login, stored string, most func() int) error {
	password := l.Password
	cost, err := costOf(stored)
	if err != nil {
		v.work(ctx, l, most())
		return fmt.Errorf("%w: %w", ErrLogin, err)
	}
	if cost == 0 {
		want, got := sha256.Sum256([]byte(stored)), sha256.Sum256([]byte(password))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			v.work(ctx, l, most())
			return errPassword
		}
		return nil
	}
	id := v.id(l.User, password, stored)
	if v.remembers(id) {
		return nil
	}
	if err := v.slot(ctx, l); err != nil {
		return err
	}
	defer v.slots.Release()
	seen := []byte(password[:min(len(password), maxPassword)])
	err = v.compare([]byte(stored), seen)
	if err == nil && password != "" && len(password) <= maxPassword {
		v.remember(id)
		return nil
	}
	v.pad(seen, cost, most())
	if len(password) > maxPassword {
		return errTooLong
	}
	return errPassword
}

// work computes for nothing what a hash of cost most takes, so that a refusal without one
// can't be told from others.
func (v *verifier) work(ctx context.Context, l Login, most int) {
	if most == 0 || v.slot(ctx, l) != nil {
		return
	}
	defer v.slots.Release()
	_ = v.compare(nobody(most), []byte(l.Password[:min(len(l.Password), maxPassword)]))
}

// pad continues the work of a hash of cost done to that of one of cost most:
// 2^done + 2^done + 2^(done+1) + … is 2^most.
func (v *verifier) pad(password []byte, done, most int) {
	for ; done < most; done++ {
		_ = v.compare(nobody(done), password)
	}
}

// nobody is a hash of that cost that nobody's password has.
func nobody(cost int) []byte {
	return fmt.Appendf(nil, "$2b$%02d$%s", cost, strings.Repeat(".", 53))
}

// slot waits for the login's turn. Its keys are what the client said and where it comes
// from, never whether the user exists: the wait would tell.
func (v *verifier) slot(ctx context.Context, l Login) error {
	type name string
	ip := l.Remote.Addr()
	return v.slots.Acquire(ctx, l.regular, name(l.User), guard.Origin(ip), guard.Site(ip))
}

// id stands for user, password and hash together: who changes one of them is not
// remembered. Without the key nothing can be told from it.
func (v *verifier) id(user, password, stored string) (id [sha256.Size]byte) {
	mac := hmac.New(sha256.New, v.key[:])
	for _, s := range []string{user, stored, password} {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		mac.Write([]byte(s))
	}
	mac.Sum(id[:0])
	return id
}

func (v *verifier) remembers(id [sha256.Size]byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	until, ok := v.known[id]
	if ok && !time.Now().Before(until) {
		delete(v.known, id)
		return false
	}
	return ok
}

func (v *verifier) remember(id [sha256.Size]byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= maxKnown {
		v.forget()
	}
	v.known[id] = time.Now().Add(knownFor)
}

// forget makes room: it drops what is out of date or, if nothing is, anything.
func (v *verifier) forget() {
	now := time.Now()
	for id, until := range v.known {
		if !now.Before(until) {
			delete(v.known, id)
		}
	}
	for id := range v.known {
		if len(v.known) < maxKnown {
			return
		}
		delete(v.known, id)
	}
}
