package dtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
)

// These tests run with the clock of synctest, on which time passes only while all goroutines wait.

// clocked calls RunOn on one end of a net.Pipe. peer is the other end.
func clocked(ctx context.Context, job Job) (peer net.Conn, done <-chan Result) {
	ours, peer := net.Pipe()
	return peer, run(ctx, ours, job)
}

func TestStall(t *testing.T) {
	for _, stall := range []time.Duration{10 * time.Second, 0} {
		want := stall
		if stall == 0 {
			want = DefaultStall
		}
		for name, job := range map[string]Job{
			"sending":        {Source: strings.NewReader("nobody reads this"), Type: ftp.Image},
			"sending text":   {Source: strings.NewReader("nobody reads this")},
			"receiving":      {Sink: io.Discard, Type: ftp.Image},
			"receiving text": {Sink: io.Discard},
		} {
			synctest.Test(t, func(t *testing.T) {
				job.Stall = stall
				start := time.Now()
				peer, done := clocked(context.Background(), job)
				defer peer.Close()
				res := <-done
				if !errors.Is(res.Err, ErrStalled) || res.Bytes != 0 || time.Since(start) != want {
					t.Errorf("%s, stall %v: %+v after %v", name, stall, res, time.Since(start))
				}
				if _, err := peer.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
					t.Errorf("%s: the data connection is not closed: %v", name, err)
				}
			})
		}
	}
}

// A slow peer is not mistaken for one that has stalled. The time starts again with each
// byte.
func TestSlowIsNotStill(t *testing.T) {
	const stall = 10 * time.Second
	text := strings.Repeat("x", 20)
	for _, typ := range []ftp.Type{ftp.Image, ftp.ASCII} {
		synctest.Test(t, func(t *testing.T) {
			peer, done := clocked(context.Background(), Job{Source: strings.NewReader(text), Type: typ, Stall: stall})
			got := make([]byte, 0, len(text))
			for len(got) < len(text) {
				time.Sleep(stall - time.Millisecond)
				n, err := peer.Read(got[len(got) : len(got)+1])
				check(t, err)
				got = got[:len(got)+n]
			}
			if res := <-done; res.Err != nil || res.Bytes != int64(len(text)) || string(got) != text {
				t.Errorf("%v: sent %q: %+v", typ, got, res)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			var got bytes.Buffer
			peer, done := clocked(context.Background(), Job{Sink: &got, Type: typ, Stall: stall})
			for i := range text {
				time.Sleep(stall - time.Millisecond)
				_, err := io.WriteString(peer, text[i:i+1])
				check(t, err)
			}
			last := time.Now()
			res := <-done
			if !errors.Is(res.Err, ErrStalled) || res.Bytes != int64(len(text)) || got.String() != text {
				t.Errorf("%v: received %q: %+v", typ, got.String(), res)
			}
			if still := time.Since(last); still != stall {
				t.Errorf("%v: ended %v after the last byte", typ, still)
			}
			check(t, peer.Close())
		})
	}
}

// Cancel ends a transfer that waits for the peer, at once and with its cause.
func TestCancelTransfer(t *testing.T) {
	text := strings.Repeat("x", 10_000)
	for name, job := range map[string]Job{
		"sending":              {Type: ftp.Image},
		"receiving":            {Sink: io.Discard, Type: ftp.Image},
		"waiting for the rate": {Type: ftp.Image, Rates: []*rate.Limiter{NewRate(1)}},
	} {
		for _, before := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				if job.Sink == nil {
					job.Source = strings.NewReader(text)
				}
				start := time.Now()
				ctx, cancel := cancelled(before)
				peer, done := clocked(ctx, job)
				defer peer.Close()
				if job.Rates != nil {
					go func() { _, _ = io.Copy(io.Discard, peer) }()
				}
				if !before {
					time.Sleep(3 * time.Second)
				}
				cancel()
				res := <-done
				want := map[bool]time.Duration{false: 3 * time.Second}[before]
				if !errors.Is(res.Err, errEnough) || time.Since(start) != want {
					t.Errorf("%s, before %v: %+v after %v", name, before, res, time.Since(start))
				}
			})
		}
	}
}

// A cancel between two writes is not undone by the deadline of the second.
func TestCancelBetweenWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := cancelled(false)
		peer, done := clocked(ctx, Job{Source: readerFunc(func(p []byte) (int, error) {
			cancel()
			synctest.Wait() // until the cancel has set its deadline
			return len(p), nil
		}), Type: ftp.Image})
		defer peer.Close()
		if res := <-done; !errors.Is(res.Err, errEnough) || time.Since(start) != 0 {
			t.Errorf("%+v after %v", res, time.Since(start))
		}
	})
}

// readerFunc lets a function serve as an io.Reader.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A rate limits both directions: after the first burst, to its number of bytes per second.
func TestRate(t *testing.T) {
	const perSecond, seconds = 64 << 10, 10
	data := random(perSecond * seconds)
	limit := func() []*rate.Limiter { return []*rate.Limiter{NewRate(1 << 40), nil, NewRate(perSecond)} }
	burst := NewRate(perSecond).Burst()
	exact := time.Duration(len(data)-burst) * time.Second / perSecond
	judge := func(t *testing.T, what string, start time.Time, res Result) {
		t.Helper()
		if took := time.Since(start); res.Err != nil || res.Bytes != int64(len(data)) || took < exact-time.Millisecond || took > exact+time.Second {
			t.Errorf("%s: %+v after %v, want about %v", what, res, took, exact)
		}
	}
	for _, typ := range []ftp.Type{ftp.Image, ftp.ASCII} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			peer, done := clocked(context.Background(), Job{Source: bytes.NewReader(bytes.Repeat([]byte("x"), len(data))), Type: typ, Rates: limit()})
			n, err := io.Copy(io.Discard, peer)
			if err != nil || n != int64(len(data)) {
				t.Errorf("%d bytes, %v", n, err)
			}
			judge(t, "send", start, <-done)
		})
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			peer, done := clocked(context.Background(), Job{Sink: io.Discard, Type: typ, Rates: limit()})
			_, err := peer.Write(data)
			check(t, err)
			check(t, peer.Close())
			judge(t, "receive", start, <-done)
		})
	}
}

// A rate that several Jobs share is charged for the bytes that they move, not for those
// that they wait for.
func TestTrickleLeavesTheRateToOthers(t *testing.T) {
	const perSecond = 64 << 10
	synctest.Test(t, func(t *testing.T) {
		shared := []*rate.Limiter{NewRate(perSecond)}
		trickle, trickled := clocked(context.Background(), Job{Sink: io.Discard, Type: ftp.Image, Rates: shared})
		stop := make(chan struct{})
		go func() {
			defer trickle.Close()
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					_, _ = trickle.Write([]byte("x"))
				}
			}
		}()
		start := time.Now()
		fast, done := clocked(context.Background(), Job{Sink: io.Discard, Type: ftp.Image, Rates: shared})
		_, err := fast.Write(make([]byte, 10*perSecond))
		check(t, err)
		check(t, fast.Close())
		res := <-done
		if took := time.Since(start); res.Err != nil || took > 11*time.Second {
			t.Errorf("%+v after %v, want about 10s", res, took)
		}
		close(stop)
		if res := <-trickled; res.Err != nil || res.Bytes < 50 {
			t.Errorf("the slow one: %+v", res)
		}
	})
}

// A context whose deadline is before the rate allows the next byte ends the transfer
// like any other context.
func TestRateBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		peer, done := clocked(ctx, Job{Source: bytes.NewReader(make([]byte, 100<<10)), Type: ftp.Image, Rates: []*rate.Limiter{NewRate(1 << 10)}})
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		if res := <-done; !errors.Is(res.Err, context.DeadlineExceeded) || res.Bytes == 0 {
			t.Errorf("%+v", res)
		}
	})
}

func TestNewRate(t *testing.T) {
	for _, n := range []int64{0, -1} {
		if r := NewRate(n); r != nil {
			t.Errorf("%d: %v", n, r)
		}
	}
	for n, burst := range map[int64]int{1: 1 << 10, 8 << 10: 1 << 10, 80 << 10: 10 << 10, 1 << 40: maxChunk} {
		if r := NewRate(n); r.Limit() != rate.Limit(n) || r.Burst() != burst {
			t.Errorf("%d: limit %v, burst %d, want %d", n, r.Limit(), r.Burst(), burst)
		}
	}
}
