//go:build unix

package serve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestExpiryOnce: each threshold is warned of once, for each certificate, and only the nearest one if several have passed.
// A new certificate in the same file is another one.
func TestExpiryOnce(t *testing.T) {
	const day = 24 * time.Hour
	begin := time.Now()
	x := newExpiry()
	cert := func(file string, left time.Duration) control.Certificate {
		return control.Certificate{Source: control.FromFile, File: file, NotAfter: begin.Add(left)}
	}
	all := []control.Certificate{cert("a", 30*day), cert("b", 10*day), cert("b", 10*day)}
	for _, tt := range []struct {
		after time.Duration
		want  string // the files that are warned of
	}{{0, "b"}, {0, ""}, {2 * day, ""}, {3 * day, "b"}, {9*day - time.Hour, ""}, {9 * day, "ab"}, {11 * day, "b"}, {20 * day, ""}, {40 * day, "a"}, {50 * day, ""}} {
		got := ""
		for _, text := range x.news(all, begin.Add(tt.after)) {
			got += text[:1]
		}
		if got != tt.want {
			t.Errorf("after %v: warnings of %q, want %q", tt.after, got, tt.want)
		}
	}
	all[0] = cert("a", 41*day)
	if got := x.news(all, begin.Add(40*day)); len(got) != 1 {
		t.Errorf("a new certificate that ends soon: %q", got)
	}
	if len(x.stages) != 2 {
		t.Errorf("%d certificates are remembered, want 2", len(x.stages))
	}
	x.forget()
	if got := x.news(all, begin.Add(40*day)); len(got) != 2 {
		t.Errorf("after a reload: %q", got)
	}
}

// TestExpiryWatch: warnings come with each tick, and when a certificate was loaded. The watch ends with its context.
func TestExpiryWatch(t *testing.T) {
	x := newExpiry()
	ctx, cancel := context.WithCancel(t.Context())
	tick, warned, ended := make(chan time.Time), make(chan string), make(chan struct{})
	n := 0
	go func() {
		defer close(ended)
		x.watch(ctx, tick, func() []control.Certificate {
			n++
			return []control.Certificate{{Source: control.FromFile, File: fmt.Sprint("file", n), NotAfter: time.Now()}}
		}, func(text string) { warned <- text })
	}()
	tick <- time.Now()
	if text := <-warned; !strings.HasPrefix(text, "file1: the certificate expired on") {
		t.Error(text)
	}
	x.look()
	if text := <-warned; !strings.HasPrefix(text, "file2: ") {
		t.Error(text)
	}
	cancel()
	<-ended
}

// TestExpiryTold: a server warns of a certificate that ends soon at the start, after a reload and when a new file is read
// while it runs, and tells the other verbs.
func TestExpiryTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "c.pem"), filepath.Join(dir, "s")
	replace := func(left time.Duration) {
		t.Helper()
		if err := local.SavePEM(file, verbtest.MakeCert(t, "ftp.example.org", time.Now().Add(left), nil)); err != nil {
			t.Fatal(err)
		}
	}
	replace(6*24*time.Hour + time.Hour)
	p := verbtest.StartServer(t, dir, "--tls-cert", file, "--control", socket)
	const soon = "c.pem: the certificate expires in 6 days, on "
	if !strings.Contains(strings.Join(p.Read, "\n"), soon) {
		p.Await(soon)
	}
	p.Hangup(soon)
	p.Await("reloaded")
	cs := aboutServer(t, socket).Certificates
	if len(cs) != 1 || cs[0].File != file || cs[0].Names[0] != "ftp.example.org" || cs[0].Source != control.FromFile || cs[0].Stage(time.Now()) != 2 {
		t.Errorf("%+v", cs)
	}
	replace(12 * time.Hour)
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Minute)); err != nil { // a change that any filesystem shows
		t.Fatal(err)
	}
	for limit := time.Now().Add(20 * time.Second); aboutServer(t, socket).Certificates[0].Stage(time.Now()) != 3; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the new file was not read")
		}
	}
	p.Await("c.pem: the certificate expires in 11 hours, on ")
}
