package fxp_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
	"miniftp/ftp/internal/party"
)

// TestCopyCommands: a copy asks each server once what it has, which is a round trip to each.
func TestCopyCommands(t *testing.T) {
	a, b := party.Ours(t, "127.0.0.1", true), party.Ours(t, "127.0.0.2", true)
	a.Write(t, "f", "content")
	var mu sync.Mutex
	verbs := map[string][]string{}
	follow := func(side string) func(*client.Options) {
		return func(o *client.Options) {
			o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
				mu.Lock()
				defer mu.Unlock()
				if h, ok := e.What.(ftp.CommandGiven); ok {
					verbs[side] = append(verbs[side], h.Command.Verb)
				}
			})
		}
	}
	ca, cb := a.Dial(t, follow("from")), b.Dial(t, follow("to"))
	for _, name := range []string{"first", "second"} {
		mu.Lock()
		clear(verbs)
		mu.Unlock()
		if _, err := party.Between(t.Context(), ca, "f", cb, name, fxp.Plan{KeepTime: true}); err != nil {
			t.Fatal(err)
		}
		b.Has(t, name, "content")
	}
	mu.Lock()
	defer mu.Unlock()
	for side, want := range map[string]string{"from": "MLST EPSV RETR SIZE", "to": "MLST PORT STOR SIZE MFMT"} {
		got := slices.DeleteFunc(verbs[side], func(v string) bool { return v == "EPRT" })
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", side, got, want)
		}
	}
}

// TestCopyAsksBothAtOnce: the questions to the two servers before and after a copy take one round trip each.
func TestCopyAsksBothAtOnce(t *testing.T) {
	a, b := party.Ours(t, "127.0.0.1", true), party.Ours(t, "127.0.0.2", true)
	a.Write(t, "f", "content")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	type question struct{ side, verb string }
	asked := map[question]chan struct{}{}
	for _, side := range []string{"from", "to"} {
		for _, verb := range []string{"MLST", "SIZE"} {
			asked[question{side, verb}] = make(chan struct{})
		}
	}
	meet := func(side, other string) func(*client.Options) {
		return func(o *client.Options) {
			o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
				h, ok := e.What.(ftp.CommandGiven)
				mine := asked[question{side, h.Command.Verb}]
				if !ok || mine == nil {
					return
				}
				close(mine)
				select {
				case <-asked[question{other, h.Command.Verb}]:
				case <-ctx.Done():
					t.Errorf("the server %s is asked %s before the other one", side, h.Command.Verb)
				}
			})
		}
	}
	ca, cb := a.Dial(t, meet("from", "to")), b.Dial(t, meet("to", "from"))
	if _, err := party.Between(ctx, ca, "f", cb, "copy", fxp.Plan{}); err != nil {
		t.Fatal(err)
	}
}
