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

	"golang.org/x/crypto/bcrypt"
)

// Bounds on passwords and hashes. Each step of the cost doubles the time of a login.
const (
	hashCost    = bcrypt.DefaultCost // 10: about 80 ms
	maxHashCost = 15                 // some seconds; with more, logins alone could exhaust the server
	maxPassword = 72                 // bytes; bcrypt ignores the rest
)

// HashPassword returns the bcrypt hash of a password for User.Password. An empty password is an error, and so
// is one of more than 72 bytes, because bcrypt ignores the rest.
func HashPassword(password string) (string, error) {
	switch {
	case password == "":
		return "", errors.New("the password is empty")
	case len(password) > maxPassword:
		return "", fmt.Errorf("the password has %d bytes; bcrypt supports at most %d", len(password), maxPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
	return string(hash), err
}

// isHash reports whether stored looks like a bcrypt hash. htpasswd writes $2y$; the three prefixes differ in
// name only.
func isHash(stored string) bool {
	for _, prefix := range []string{"$2a$", "$2b$", "$2y$"} {
		if strings.HasPrefix(stored, prefix) {
			return true
		}
	}
	return false
}

// otherHashes are prefixes of hashes of unsupported kinds. If such a hash were treated as clear text, it would
// itself be the password.
var otherHashes = []string{"$1$", "$5$", "$6$", "$7$", "$y$", "$apr1$", "$argon2", "$scrypt$", "$pbkdf2", "$2$", "$2x$", "{SHA", "{SSHA"}

// costOf returns the cost of a stored password, or 0 if it is clear text. It returns an error for a hash that
// no password can match.
func costOf(stored string) (int, error) {
	for _, prefix := range otherHashes {
		if strings.HasPrefix(stored, prefix) {
			return 0, errors.New("the password is a hash of an unsupported kind: use bcrypt")
		}
	}
	if !isHash(stored) {
		return 0, nil
	}
	cost, err := bcrypt.Cost([]byte(stored))
	switch {
	case err != nil, len(stored) != 60:
		return 0, errors.New("the password looks like a bcrypt hash but is not valid")
	case cost > maxHashCost:
		return 0, fmt.Errorf("the bcrypt hash has cost %d; the maximum is %d", cost, maxHashCost)
	}
	return cost, nil
}

// Reasons for refusing a login. They are logged and never sent to the client.
var (
	errNoUser   = fmt.Errorf("%w: there is no such user", ErrLogin)
	errExpired  = fmt.Errorf("%w: the account has expired", ErrLogin)
	errNetwork  = fmt.Errorf("%w: the user may not log in from that address", ErrLogin)
	errPassword = fmt.Errorf("%w: wrong password", ErrLogin)
	errTooLong  = fmt.Errorf("%w: bcrypt supports passwords of up to %d bytes", ErrLogin, maxPassword)
)

// Verify is for Authenticators that keep their users elsewhere. It returns nil if the login's password matches
// stored, which is a bcrypt hash or clear text. Otherwise it returns an error that is ErrLogin or ctx's.
//
// An empty stored refuses the login after the time that a hash takes. Pass it for an unknown user, so that the
// time does not show which users exist. Only a few hashes are computed at once. A password that has matched is
// remembered for a while, so that a client that logs in often costs little.
func (l Login) Verify(ctx context.Context, stored string) error {
	v := l.getVerifier()
	if stored == "" {
		v.burn(ctx, l, hashCost)
		return errNoUser
	}
	return v.matches(ctx, l, stored, func() int { return 0 }, nil)
}

// getVerifier returns the verifier of the Server that made the Login, or one that is shared by all other Logins.
func (l Login) getVerifier() *verifier {
	if l.verifier != nil {
		return l.verifier
	}
	return sharedVerifier()
}

var sharedVerifier = sync.OnceValue(newVerifier)

// maxKnown is how many passwords a verifier remembers.
const maxKnown = 4096

// verifier compares passwords with hashes.
type verifier struct {
	slots   *LoginQueue                       // one for each hash that may be computed at once
	compare func(hash, password []byte) error // bcrypt
	key     [sha256.Size]byte                 // random, for id
	mu      sync.Mutex
	known   map[[sha256.Size]byte]time.Time // ids that have matched, and until when they are remembered
}

// halfOfTheProcessors is how many processors may compute hashes at once: sessions need the others. It is asked once, because
// internal/calm changes the number under load.
var halfOfTheProcessors = sync.OnceValue(func() int { return (runtime.GOMAXPROCS(0) + 1) / 2 })

func newVerifier() *verifier {
	v := &verifier{
		slots:   NewLoginQueue(halfOfTheProcessors()),
		compare: bcrypt.CompareHashAndPassword,
		known:   map[[sha256.Size]byte]time.Time{},
	}
	_, _ = rand.Read(v.key[:]) // it never fails
	return v
}

// matches compares the password with stored, which is not empty. Every refusal takes the time of a hash of cost
// most. It is spent in the same slot, because a second wait for a slot would show, too. If refused is not nil, a
// password that matches is refused with it, after the same time.
func (v *verifier) matches(ctx context.Context, l Login, stored string, most func() int, refused error) error {
	password := l.Password
	cost, err := costOf(stored)
	if err != nil {
		v.burn(ctx, l, most())
		return fmt.Errorf("%w: %w", ErrLogin, err)
	}
	if cost == 0 {
		want, got := sha256.Sum256([]byte(stored)), sha256.Sum256([]byte(password))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			refused = errPassword
		}
		if refused != nil {
			v.burn(ctx, l, most())
		}
		return refused
	}
	id := v.id(l.User, password, stored)
	if refused == nil && v.remembers(id) {
		return nil
	}
	if err := v.slot(ctx, l); err != nil {
		return err
	}
	defer v.slots.Release()
	seen := []byte(password[:min(len(password), maxPassword)])
	err = v.compare([]byte(stored), seen)
	right := err == nil && password != "" && len(password) <= maxPassword
	if right && refused == nil {
		v.remember(id)
		return nil
	}
	v.pad(seen, cost, most())
	switch {
	case right:
		return refused
	case len(password) > maxPassword:
		return errTooLong
	}
	return errPassword
}

// burn computes a hash of cost most and discards it, so that a refusal for another reason takes as long as one
// for a wrong password.
func (v *verifier) burn(ctx context.Context, l Login, most int) {
	if most == 0 || v.slot(ctx, l) != nil {
		return
	}
	defer v.slots.Release()
	_ = v.compare(dummyHash(most), []byte(l.Password[:min(len(l.Password), maxPassword)]))
}

// pad does the work that is missing from a hash of cost done to one of cost most: 2^done + 2^done + 2^(done+1)
// + … + 2^(most-1) = 2^most.
func (v *verifier) pad(password []byte, done, most int) {
	for ; done < most; done++ {
		_ = v.compare(dummyHash(done), password)
	}
}

// dummyHash returns a hash of that cost that no password matches.
func dummyHash(cost int) []byte {
	return fmt.Appendf(nil, "$2b$%02d$%s", cost, strings.Repeat(".", 53))
}

// slot waits for the login's turn.
func (v *verifier) slot(ctx context.Context, l Login) error { return v.slots.Acquire(ctx, l) }

// id returns the key of user, password and hash together in known: after a change of any of them nothing is
// remembered. It is a keyed hash, so the password can't be guessed from it without the key.
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

// forget makes room in known. It drops what is out of date or, if nothing is, any entry.
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
