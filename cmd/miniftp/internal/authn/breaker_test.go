package authn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestBreaker: a source that is down is not asked, and is tried again from time to time. The log says once that it is down, and
// once that it answers again.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, down := 0, true
		c, log := chainOf(t, 0, func(context.Context, *question) (answer, error) {
			if asked++; down {
				return answer{}, errors.New("down")
			}
			return answer{result: ok}, nil
		})
		logIn := func(want string, wantAsked int) {
			t.Helper()
			asked = 0
			if got := verdict(t.Context(), c, login("bob", "x")); got != want || asked != wantAsked {
				t.Errorf("%s, asked %d times, want %s and %d", got, asked, want, wantAsked)
			}
		}
		for range breakAfter {
			logIn("unavailable", 1)
		}
		for _, wait := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute} {
			logIn("unavailable", 0)
			time.Sleep(wait - time.Nanosecond)
			logIn("unavailable", 0)
			time.Sleep(time.Nanosecond)
			logIn("unavailable", 1)
		}
		if got := verdict(t.Context(), c, login("alice", "a")); got != "ok alice" {
			t.Errorf("a user of file: %s", got)
		}
		if s := c.Stats()[0]; !s.Broken || s.Counts["failed"] != 10 || s.Counts["skipped"] != 10 {
			t.Errorf("%+v", s)
		}
		down = false
		time.Sleep(time.Minute)
		logIn("ok bob", 1)
		logIn("ok bob", 1)
		if s := c.Stats()[0]; s.Broken || s.Counts["ok"] != 2 {
			t.Errorf("%+v", s)
		}
		if text := log.String(); strings.Count(text, "\n") != 2 || strings.Count(text, "is down") != 1 || strings.Count(text, "answers again") != 1 {
			t.Errorf("the log:\n%s", text)
		}
		// One success in between, and it is not down.
		for i := range 3 * breakAfter {
			down = i%breakAfter != breakAfter-1
			verdict(t.Context(), c, login("bob", "x"))
		}
		if c.Stats()[0].Broken {
			t.Error("broken after failures that were not in a row")
		}
	})
}

// TestProbe: only one login is a probe, and a client that leaves decides nothing.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan error)
		c, _ := chainOf(t, 0, func(ctx context.Context, _ *question) (answer, error) {
			select {
			case err := <-release:
				return answer{result: ok}, err
			case <-ctx.Done():
				return answer{}, ctx.Err()
			}
		})
		for range breakAfter { // each ends by --auth-timeout
			if start, got := time.Now(), verdict(t.Context(), c, login("bob", "x")); got != "unavailable" || time.Since(start) != 5*time.Second {
				t.Errorf("%s after %v", got, time.Since(start))
			}
		}
		time.Sleep(firstWait)
		gone := errors.New("the client has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan string)
		go func() { ended <- verdict(ctx, c, login("bob", "x")) }()
		synctest.Wait()
		if got := verdict(t.Context(), c, login("carol", "x")); got != "unavailable" {
			t.Errorf("beside the probe: %s", got)
		}
		cancel(gone)
		if got := <-ended; got != gone.Error() {
			t.Errorf("the probe: %s", got)
		}
		go func() { ended <- verdict(t.Context(), c, login("bob", "x")) }()
		release <- nil
		if got := <-ended; got != "ok bob" || c.Stats()[0].Broken {
			t.Errorf("the next probe: %s", got)
		}
	})
}

// TestLate: if the time for the login ends when the source has had all of its own, the source has failed. If it ends before, this
// says nothing about the source: else clients that log in at the last moment could make any source count as down.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			left   time.Duration
			broken bool
		}{{5*time.Second - 1, false}, {5 * time.Second, true}} {
			c, _ := chainOf(t, 0, func(ctx context.Context, _ *question) (answer, error) {
				<-ctx.Done()
				return answer{}, ctx.Err()
			})
			for range breakAfter {
				ctx, cancel := context.WithTimeout(t.Context(), tt.left)
				if got := verdict(ctx, c, login("bob", "x")); (got == "unavailable") != tt.broken {
					t.Errorf("%v left: %s", tt.left, got)
				}
				cancel()
			}
			if c.Stats()[0].Broken != tt.broken {
				t.Errorf("%v left: broken: %v", tt.left, !tt.broken)
			}
		}
	})
}

// TestPanic: a source that panics counts as failed, and a probe that panics is followed by others.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := ""
		c, _ := chainOf(t, 0, func(context.Context, *question) (answer, error) {
			switch bad {
			case "panic":
				panic(bad)
			case "error":
				return answer{}, errors.New(bad)
			}
			return answer{result: ok}, nil
		})
		logIn := func() (got string) {
			defer func() { _ = recover() }() // as the server does
			return verdict(t.Context(), c, login("bob", "x"))
		}
		for _, bad = range []string{"error", "panic"} {
			for range breakAfter {
				logIn()
			}
			if !c.Stats()[0].Broken {
				t.Errorf("%s: not broken", bad)
			}
			bad = "panic"
			time.Sleep(firstWait)
			logIn()
			bad = ""
			time.Sleep(lastWait)
			if got := logIn(); got != "ok bob" || c.Stats()[0].Broken {
				t.Errorf("after a probe that has panicked: %q", got)
			}
		}
	})
}

// TestCrowd: when a source hangs, few logins wait for it at once, users of file do not wait, and those that wait are refused as
// soon as it is known to be down.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		most, running := 0, 0
		c, log := chainOf(t, 0, func(ctx context.Context, _ *question) (answer, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
			running--
			mu.Unlock()
			return answer{}, ctx.Err()
		})
		start := time.Now()
		ended := make(chan string)
		for i := range 200 {
			go func() { ended <- verdict(t.Context(), c, login(fmt.Sprint("user", i), "x")) }()
		}
		synctest.Wait()
		if got := verdict(t.Context(), c, login("alice", "a")); got != "ok alice" || time.Since(start) != 0 {
			t.Errorf("a user of file: %s after %v", got, time.Since(start))
		}
		for range 200 {
			if got := <-ended; got != "unavailable" {
				t.Error(got)
			}
		}
		// A few get their turn between the first and the fifth failure.
		if took := time.Since(start); most != atOnce || took > 10*time.Second {
			t.Errorf("%d at once, ended after %v", most, took)
		}
		if n := strings.Count(log.String(), "is down"); n != 1 { // although 16 have failed
			t.Errorf("the log says %d times that it is down", n)
		}
	})
}
