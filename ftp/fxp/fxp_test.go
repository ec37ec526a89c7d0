package fxp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
	"miniftp/ftp/internal/party"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// TestCopy copies between two of our servers, without TLS and with TLS in each way that makes one of them the TLS
// client, and through this program.
func TestCopy(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	body := string(testutil.Noise(3 << 20))
	at := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	check := func(t *testing.T, a, b *party.Party, ca, cb *client.Client, name string, f func() (fxp.Result, error)) {
		t.Helper()
		res, err := f()
		if err != nil || res.Bytes != int64(len(body)) || res.Verified != "sizes and replies" {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		b.Has(t, name, body)
		if fi, err := b.FS.Stat(name); err == nil && !fi.ModTime().Equal(at) {
			t.Errorf("%s: its time is %v", name, fi.ModTime())
		}
		party.Usable(t, ca, cb)
		a.Alone(t, "f")
	}
	for _, secure := range []bool{false, true} {
		a, b := party.Ours(t, "127.0.0.1", true), party.Ours(t, "127.0.0.2", true)
		if secure {
			a, b = party.OursTLS(t, "127.0.0.1", true), party.OursTLS(t, "127.0.0.2", true)
		}
		a.Write(t, "f", body)
		if err := a.FS.Chtimes("f", at, at); err != nil {
			t.Fatal(err)
		}
		o := fxp.Plan{KeepTime: true}
		for _, less := range []string{"", "CPSV", "CPSV SSCN", "CPSV -SSCN"} {
			if !secure && less != "" {
				break
			}
			ca, cb := a.Dial(t), b.Dial(t)
			for name := range strings.FieldsSeq(less) { // without these commands another way is used
				if name != "-SSCN" {
					delete(ca.Features(), name)
				}
				if name != "SSCN" {
					delete(cb.Features(), strings.TrimPrefix(name, "-"))
				}
			}
			for _, name := range []string{"copy", "copy"} { // a new file, and then replacing it
				check(t, a, b, ca, cb, name, func() (fxp.Result, error) {
					return party.Between(t.Context(), ca, "f", cb, name, o)
				})
			}
			b.Alone(t, "copy")
			if err := b.FS.Remove("copy"); err != nil {
				t.Fatal(err)
			}
		}
		ca, cb := a.Dial(t), b.Dial(t)
		check(t, a, b, ca, cb, "through", func() (fxp.Result, error) {
			return party.Through(t.Context(), ca, "f", cb, "through", o)
		})
	}
}

// If something forbids a copy, the error names the server and has its reply. Nothing is changed, and both
// connections can be used.
func TestCopyIsForbidden(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for _, tc := range []struct {
		name     string
		from, to bool // FXP
		want     []string
	}{
		{"by both", false, false, []string{"the destination", "refused PORT", "the source", "fxp"}},
		{"by the source", false, true, []string{"the source", "refused PORT: 504", "was not accepted"}},
		{"by the destination", true, false, []string{"the destination", "refused PORT: 504", "was not accepted"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a, b := party.Ours(t, "127.0.0.1", tc.from), party.Ours(t, "127.0.0.2", tc.to)
			a.Write(t, "f", "content")
			b.Write(t, "old", "what was there")
			a.Timeout, b.Timeout = 2*time.Second, 2*time.Second // how long to wait for a server that does nothing
			ca, cb := a.Dial(t), b.Dial(t)
			for _, name := range []string{"old", "new"} {
				_, err := party.Between(t.Context(), ca, "f", cb, name, fxp.Plan{})
				var no *fxp.NoWayError
				if !errors.As(err, &no) || len(no.Tried) != 2 {
					t.Fatalf("got %v, want a NoWayError with two ways", err)
				}
				for _, word := range tc.want {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%q is not in %v", word, err)
					}
				}
				var reply *ftp.Error
				if !errors.As(err, &reply) || reply.Verb != "PORT" || reply.Code != 504 {
					t.Errorf("the reply is %+v", reply)
				}
			}
			party.Usable(t, ca, cb)
			b.Has(t, "old", "what was there")
			b.Alone(t, "old")
			if _, err := party.Through(t.Context(), ca, "f", cb, "old", fxp.Plan{}); err != nil {
				t.Error(err)
			}
			b.Has(t, "old", "content")
		})
	}
}

// Cancelling a copy is prompt, leaves no file behind, and both connections can be used.
func TestCopyCancelled(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for _, start := range []func(*testing.T, string, bool, ...func(*server.Options)) *party.Party{party.Ours, party.OursTLS} {
		slow := func(o *server.Options) { o.Rate = 1 << 20 }
		a, b := start(t, "127.0.0.1", true, slow), start(t, "127.0.0.2", true)
		a.Write(t, "f", string(testutil.Noise(64<<20)))
		b.Write(t, "old", "what was there")
		begun := make(chan struct{}, 10)
		see := func(o *client.Options) {
			o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
				if r, ok := e.What.(ftp.ReplyGiven); ok && r.Verb == "STOR" && r.Reply.Code == 150 {
					begun <- struct{}{}
				}
			})
		}
		ca, cb := a.Dial(t), b.Dial(t, see)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-begun; cancel() }()
		if _, err := party.Between(ctx, ca, "f", cb, "old", fxp.Plan{}); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled copy: %v", err)
		}
		party.Usable(t, ca, cb)
		b.Has(t, "old", "what was there")
		ctx, cancel = context.WithCancel(t.Context())
		go func() { <-begun; cancel() }()
		if _, err := party.Through(ctx, ca, "f", cb, "new", fxp.Plan{}); !errors.Is(err, context.Canceled) {
			t.Errorf("through: %v", err)
		}
		party.Usable(t, ca, cb)
		b.Has(t, "new", "")
	}
}
