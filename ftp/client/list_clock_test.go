package client

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestZoneTurn checks that a connection that waits for another one to learn the zone stops waiting when its
// context ends, and gets its turn otherwise.
func TestZoneTurn(t *testing.T) {
	var k listClock
	done, err := k.takeTurn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errAllCame)
	defer cancel()
	if _, err := k.takeTurn(ctx); !errors.Is(err, errAllCame) {
		t.Errorf("the wait ends with %v, want the cause of the context", err)
	}
	if _, ok := k.inWeek(time.Now()); ok {
		t.Error("a zone is known")
	}
	done()
	if done, err = k.takeTurn(t.Context()); err != nil {
		t.Error(err)
	}
	done()
}
