package control

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
)

// TestSince: of the events that a server publishes again and again, each is returned once. If some were published and
// replaced between two looks, an event says so.
func TestSince(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var all []sessions.Event
	for i := range 3 * sessions.Kept {
		all = append(all, sessions.Event{Time: at.Add(time.Duration(i) * time.Second), Kind: sessions.LoggedIn, User: fmt.Sprint(i)})
	}
	last := map[string]time.Time{}
	look := func(n node) (users []string) {
		n.Name = "web1"
		for _, v := range n.since(last) {
			if v.Server != "web1" {
				t.Errorf("the event is of %q", v.Server)
			}
			users = append(users, v.Kind+v.User)
		}
		return users
	}
	first := look(node{Instance: "a", Events: all[:5]})
	second := look(node{Instance: "a", Events: all[3:8]})
	if len(first) != 5 || !slices.Equal(second, []string{"logged-in5", "logged-in6", "logged-in7"}) {
		t.Errorf("%q, then %q", first, second)
	}
	if again := look(node{Instance: "a", Events: all[3:8]}); len(again) != 0 {
		t.Errorf("shown twice: %q", again)
	}
	later := look(node{Instance: "a", Events: all[200 : 200+sessions.Kept]})
	if len(later) != sessions.Kept+1 || later[0] != sessions.Lost {
		t.Errorf("after a gap: %d events, the first is %q", len(later), later[0])
	}
	if restarted := look(node{Instance: "b", Events: all[:2]}); len(restarted) != 2 {
		t.Errorf("after a restart: %q", restarted)
	}
}
