package server

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// Every refusal of a user, for whatever reason, takes one turn in the queue.
func TestRefusalsTakeOneTurn(t *testing.T) {
	users := Static{"dear": {Password: cheap(t, "good", 6)}, "cheap": {Password: cheap(t, "good", 4)}, "clear": {Password: "good"}}
	for _, user := range []string{"dear", "cheap", "clear", "nobody"} {
		v := newVerifier()
		login := Login{User: user, Password: "bad", verifier: v, Remote: netip.MustParseAddrPort("192.0.2.1:5000")}
		if _, err := users.Authenticate(t.Context(), login); !errors.Is(err, ErrLogin) {
			t.Error(err)
		}
		for key, n := range v.slots.slots.Counts() {
			if n != 1 {
				t.Errorf("%s: %d turns for %v", user, n, key)
			}
		}
	}
}

// The place in the queue must not depend on whether a name exists: the keys of a login are what the client has
// sent and its address.
func TestSlotsDoNotTellWhoExists(t *testing.T) {
	login := Login{User: "u", Password: "p", Remote: netip.MustParseAddrPort("192.0.2.1:5000")}
	keys := func(stored string) string {
		v := newVerifier()
		v.compare = func(_, _ []byte) error { return errPassword }
		login.verifier = v
		_ = login.Verify(t.Context(), stored)
		var all []string
		for key, n := range v.slots.slots.Counts() {
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
		t.Errorf("%s for an existing user, %s for others", there, not)
	}
}
