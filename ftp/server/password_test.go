package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/afero"
	"golang.org/x/crypto/bcrypt"
)

// cheap is a hash that tests can afford.
func cheap(t testing.TB, password string, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestHashPassword(t *testing.T) {
	hash, err := HashPassword("correct horse" + strings.Repeat("x", 59)) // 72 bytes
	if err != nil || !isHash(hash) || strings.Contains(hash, "horse") {
		t.Fatalf("%q, %v", hash, err)
	}
	if cost, err := costOf(hash); err != nil || cost != hashCost {
		t.Errorf("cost %d, %v", cost, err)
	}
	for _, bad := range []string{"", strings.Repeat("x", 73)} {
		if hash, err := HashPassword(bad); err == nil || hash != "" || bad != "" && !strings.Contains(err.Error(), "72") {
			t.Errorf("%d bytes: %q, %v", len(bad), hash, err)
		}
	}
}

// What User.Password may contain, and which passwords match it.
func TestVerify(t *testing.T) {
	hash := cheap(t, "secret", 4)
	long := cheap(t, strings.Repeat("x", 72), 4)
	for _, tt := range []struct {
		name, stored, password string
		want                   error
	}{
		{"clear", "secret", "secret", nil},
		{"clear, wrong", "secret", "Secret", errPassword},
		{"clear, none", "secret", "", errPassword},
		{"nothing stored", "", "", errNoUser},
		{"2a", hash, "secret", nil},
		{"2b", "$2b$" + hash[4:], "secret", nil},
		{"2y, by htpasswd", "$2y$" + hash[4:], "secret", nil},
		{"wrong", hash, "Secret", errPassword},
		{"the hash is not the password", hash, hash, errPassword},
		{"no password", hash, "", errPassword},
		{"a hash of no password", cheap(t, "", 4), "", errPassword},
		{"72 bytes", long, strings.Repeat("x", 72), nil},
		{"73 bytes, not cut to 72", long, strings.Repeat("x", 73), errTooLong},
		{"half a hash", hash[:40], hash[:40], ErrLogin},
		{"a hash with a tail", hash + "x", hash + "x", ErrLogin},
		{"not that costly", "$2b$31$" + hash[7:], "secret", ErrLogin},
		{"another kind of hash", "$6$salt$abc", "$6$salt$abc", ErrLogin},
		{"apr1 by htpasswd", "$apr1$salt$abc", "$apr1$salt$abc", ErrLogin},
	} {
		err := Login{User: "u", Password: tt.password, verifier: newVerifier()}.Verify(t.Context(), tt.stored)
		if !errors.Is(err, tt.want) || tt.want != nil && !errors.Is(err, ErrLogin) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err != nil && tt.password != "" && strings.Contains(err.Error(), tt.password) {
			t.Errorf("%s: %v contains the password", tt.name, err)
		}
	}
}

// New returns an error, which names the user, for a password that nobody could log in with.
func TestStaticCheck(t *testing.T) {
	hash := cheap(t, "x", 4)
	for name, u := range map[string]User{
		"half a hash": {Password: hash[:50]}, "cost 16": {Password: "$2b$16$" + hash[7:]}, "cost 3": {Password: "$2b$03$" + hash[7:]}, "kind": {Password: "$argon2id$v=19$x"},
		"network": {Password: "x", Account: Account{Networks: []netip.Prefix{{}}}}, "limit": {Password: "x", Account: Account{MaxSessions: -1}}, "rate": {Password: "x", Account: Account{RateUp: -1}},
	} {
		if _, err := New(Options{Auth: Static{"alice": u}}); err == nil || !strings.Contains(err.Error(), `"alice"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Static{"a": {Password: hash}, "b": {Password: "clear"}, "c": {Anyone: true}}).Check(); err != nil {
		t.Error(err)
	}
}

// counting is a verifier that adds up the work of its hashes, 2 to the power of the cost.
func counting(t testing.TB) (*verifier, *int) {
	v, units := newVerifier(), new(int)
	v.compare = func(hash, password []byte) error {
		cost, err := bcrypt.Cost(hash)
		if err != nil {
			t.Errorf("%s: %v", hash, err)
		}
		*units += 1 << cost
		return bcrypt.CompareHashAndPassword(hash, password)
	}
	return v, units
}

// Every refusal takes the time of the most costly hash: an unknown user, a forbidden address, a wrong password and
// the right one of an account that has expired can't be told apart.
func TestRefusalsTakeTheSameTime(t *testing.T) {
	users := Static{
		"dear": {Password: cheap(t, "good", 6)}, "cheap": {Password: cheap(t, "good", 4)}, "clear": {Password: "good"}, "empty": {},
		"elsewhere": {Password: cheap(t, "good", 5), Account: Account{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}},
		"late":      {Password: cheap(t, "good", 5), Account: Account{Expires: time.Now()}},
		"lateclear": {Password: "good", Account: Account{Expires: time.Now()}},
	}
	for name, u := range users {
		u.Account.FS = afero.NewMemMapFs()
		users[name] = u
	}
	for _, login := range []Login{
		{User: "dear", Password: "bad"},
		{User: "cheap", Password: "bad"},
		{User: "clear", Password: "bad"},
		{User: "empty", Password: ""},
		{User: "nobody", Password: "good"},
		{User: "elsewhere", Password: "good"},
		{User: "elsewhere", Password: "bad"},
		{User: "dear", Password: strings.Repeat("x", 100)},
		{User: "cheap", Password: ""},
		{User: "nobody", Password: ""},
		{User: "late", Password: "good"},
		{User: "late", Password: "bad"},
		{User: "lateclear", Password: "good"},
		{User: "lateclear", Password: "bad"},
	} {
		v, units := counting(t)
		login.verifier, login.Remote = v, netip.MustParseAddrPort("192.0.2.1:5000")
		_, err := users.Authenticate(t.Context(), login)
		if late := login.Password == "good" && strings.HasPrefix(login.User, "late"); !errors.Is(err, ErrLogin) || errors.Is(err, errExpired) != late {
			t.Errorf("%s, %q: %v", login.User, login.Password, err)
		}
		if *units != 1<<6 {
			t.Errorf("%s, %q: %d units of work, want %d", login.User, login.Password, *units, 1<<6)
		}
	}
	// If the password of "elsewhere" is in the cache, that must not show either.
	v, units := counting(t)
	home := Login{User: "elsewhere", Password: "good", verifier: v, Remote: netip.MustParseAddrPort("10.1.2.3:5000")}
	if _, err := users.Authenticate(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	*units = 0
	home.Remote = netip.MustParseAddrPort("192.0.2.1:5000")
	if _, err := users.Authenticate(t.Context(), home); !errors.Is(err, ErrLogin) || *units != 1<<6 {
		t.Errorf("%v after %d units", err, *units)
	}
	// Nor may one of an account that expires later.
	late := Login{User: "late", Password: "good", verifier: v, Remote: home.Remote}
	v.remember(v.id("late", "good", users["late"].Password))
	*units = 0
	if _, err := users.Authenticate(t.Context(), late); !errors.Is(err, errExpired) || *units != 1<<6 {
		t.Errorf("%v after %d units", err, *units)
	}
}

// A password that has matched is remembered for a while, for that user and that hash only.
func TestVerifierRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, units := counting(t)
		hash, other := cheap(t, "good", 4), cheap(t, "good", 4)
		verify := func(user, password, stored string, works bool) {
			t.Helper()
			*units = 0
			_ = Login{User: user, Password: password, verifier: v}.Verify(t.Context(), stored)
			if (*units > 0) != works {
				t.Errorf("%s, %s: %d units of work, want some: %v", user, password, *units, works)
			}
		}
		verify("u", "good", hash, true)
		verify("u", "good", hash, false)
		verify("u", "bad", hash, true)
		verify("u", "bad", hash, true) // a wrong password is never remembered
		verify("u2", "good", hash, true)
		verify("u", "good", other, true) // the password was changed
		time.Sleep(knownFor - time.Nanosecond)
		verify("u", "good", hash, false)
		time.Sleep(time.Nanosecond)
		verify("u", "good", hash, true)
	})
}

// The cache is bounded. Which entry is dropped does not matter.
func TestVerifierForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier()
		fill := func(n int) {
			for i := range n {
				v.remember(v.id(fmt.Sprint(i, time.Now()), "p", "h"))
			}
		}
		fill(maxKnown + 200)
		if n := len(v.known); n > maxKnown || n < maxKnown/2 {
			t.Errorf("%d passwords are remembered", n)
		}
		time.Sleep(knownFor)
		fill(1)
		if n := len(v.known); n != 1 {
			t.Errorf("%d passwords are remembered, want only the one that is not out of date", n)
		}
	})
}

// Only a limited number of hashes is computed at once; a caller that waits gives up when its context ends.
func TestVerifierSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier()
		busy, most := 0, 0
		var mu sync.Mutex
		v.compare = func(_, _ []byte) error {
			mu.Lock()
			busy++
			most = max(most, busy)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			busy--
			mu.Unlock()
			return bcrypt.ErrMismatchedHashAndPassword
		}
		stored := "$2b$04$" + strings.Repeat(".", 53)
		login := Login{User: "u", Password: "p", verifier: v}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { _ = login.Verify(t.Context(), stored) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := login.Verify(ctx, stored); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrLogin) {
			t.Errorf("unexpected error %v", err)
		}
		if took := time.Since(start); took != time.Millisecond {
			t.Errorf("the caller waited %v", took)
		}
		all.Wait()
		if most != halfOfTheProcessors() {
			t.Errorf("%d hashes at once, want %d", most, halfOfTheProcessors())
		}
	})
}

// The dummy hash costs as much as a real one: bcrypt does not refuse it.
func TestDummyHash(t *testing.T) {
	if err := bcrypt.CompareHashAndPassword(dummyHash(4), []byte("x")); !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Error(err)
	}
}

// The bytes of a PASS line are cleared as soon as they were read.
func TestPasswordIsWiped(t *testing.T) {
	srv, err := New(Options{Auth: Static{}})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	s := newSession(srv, theirs, false)
	for _, text := range []string{"PASS hunter", "pass hunter"} {
		line := []byte(text)
		s.command(line)
		if strings.Contains(string(line), "hunter") {
			t.Errorf("%q is still in memory", line)
		}
	}
}

func BenchmarkLogin(b *testing.B) {
	users := Static{"u": {Password: cheap(b, "good", hashCost), Account: Account{FS: afero.NewMemMapFs()}}}
	v := newVerifier()
	login := Login{User: "u", Password: "good", verifier: v}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			clear(v.known)
			if _, err := users.Authenticate(b.Context(), login); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			if _, err := users.Authenticate(b.Context(), login); err != nil {
				b.Fatal(err)
			}
		}
	})
}
