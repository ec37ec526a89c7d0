package server_test

import (
	"crypto/tls"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// Every refusal is reported with the rule that caused it.
func TestRefusalsNameTheRule(t *testing.T) {
	var mu sync.Mutex
	var reasons []ftp.Reason
	observed := func(o *server.Options) {
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			if r, ok := e.What.(ftp.Refused); ok {
				mu.Lock()
				defer mu.Unlock()
				reasons = append(reasons, r.Reason)
			}
		})
	}
	wantReason := func(reason ftp.Reason) {
		t.Helper()
		await(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Contains(reasons, reason)
		})
		mu.Lock()
		defer mu.Unlock()
		reasons = nil
	}

	s := serve(t, fsroot.NewMem(), observed)
	s.login(t, "ro").cmd("MKD d", 550)
	wantReason(ftp.ReasonPermission)

	s = serve(t, fsroot.NewMem(), observed, requireTLS)
	s.connect(t).cmd("USER rw", 530)
	wantReason(ftp.ReasonTLSRequired)
	c := s.connect(t).secure(clientConfig(tls.VersionTLS13))
	c.cmd("PBSZ 0", 200)
	c.cmd("PROT C", 534)
	wantReason(ftp.ReasonTLSRequired)
	c.cmd("USER rw", 331)
	c.cmd("PASS rw", 230)
	c.cmd("CCC", 534)
	wantReason(ftp.ReasonCCC)
	c.cmd("NLST", 521)
	wantReason(ftp.ReasonTLSRequired)

	s = serve(t, fsroot.NewMem(), observed, func(o *server.Options) { o.LoginTimeout = 50 * time.Millisecond })
	s.connect(t).want(421)
	wantReason(ftp.ReasonLoginTimeout)
	s = serve(t, fsroot.NewMem(), observed, func(o *server.Options) { o.IdleTimeout = 50 * time.Millisecond })
	s.login(t, "rw").want(421)
	wantReason(ftp.ReasonIdleTimeout)
}

// The last reply arrives although the client has sent more than the server reads: closing with unread bytes
// would be a reset.
func TestLastReplyArrives(t *testing.T) {
	s := serve(t, fsroot.NewMem())
	for range 20 {
		c := s.connect(t)
		c.raw(strings.Repeat("x", 100_000))
		c.want(500)
		c.closed()
	}
}
