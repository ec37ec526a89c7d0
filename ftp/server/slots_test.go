package server

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// However a user is refused, it costs one turn in the queue.
func TestRefusalsTakeOneTurn(t *testing.T) {
	users := Static{"dear": {Password: cheap(t, "good", 6)}, "cheap": {Password: cheap(t, "good", 4)}, "clear": {Password: "good"}}
	for _, user := range []string{"dear", "cheap", "clear", "nobody"} {
		v := newVerifier()
		login := Login{User: user, Password: "bad", verifier: v, Remote: netip.MustParseAddrPort("192.0.2.1:5000")}
		if _, err := users.Authenticate(t.Context(), login); !errors.Is(err, ErrLogin) {
			t.Error(err)
		}
		for key, n := range v.slots.Counts() {
			if n != 1 {
				t.Errorf("%s: %d turns for %v", user, n, key)
			}
		}
	}
}

// Whether a name exists must not decide about its place in the queue: the keys of a login
// are what the client said and where it is.
func TestSlotsDoNotTellWhoExists(t *testing.T) {
	login := Login{User: "u", Password: "p", Remote: netip.MustParseAddrPort("192.0.2.1:5000")}
	keys := func(stored string) string {
		v := newVerifier()
		v.compare = func(_, _ []byte) error { return errPassword }
		login.verifier = v
		_ = login.Verify(t.Context(), stored)
		var all []string
		for key, n := range v.slots.Counts() {
			all = append(all, fmt.Sprint(key, n))
		}
		slices.Sort(all)
		return fmt.Sprint(all)
	}
	hash, err := HashPassword("other")
	if err != nil {
		t.Fatal(err)
	}
	if there, not := keys(hash), keys(""); there != not {
		t.Errorf("%s for a user who exists, %s for others", there, not)
	}
}
