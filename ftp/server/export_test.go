package server

import (
	"context"
	"io/fs"
	"net/netip"
	"path"
	"regexp"
	"time"

	"miniftp/ftp"
)

// SetProgressEvery sets the time between two lines of progress, and returns the old one.
func SetProgressEvery(d time.Duration) (old time.Duration) {
	old, progressEvery = progressEvery, d
	return old
}

// AnnounceTo returns the address that a client is told which has reached 127.0.0.1 without a balancer.
func (s *Server) AnnounceTo(client netip.Addr) string {
	local := netip.MustParseAddrPort("127.0.0.1:21")
	sess := &session{srv: s, set: s.set.Load(), control: ftp.Control{Remote: netip.AddrPortFrom(client, 4000), Local: local}}
	return sess.announced(local).Addr().String()
}

// State returns the state of a server.
func (s *Server) State() State { return s.set.Load().State }

// NewMemState returns a State in memory, which servers of a test can share.
func NewMemState() State { return &sharedMem{newMemState()} }

// NewTurns returns a State whose values are changed in turn.
func NewTurns(s State) State { return newTurns(s) }

// sharedMem hides the type of the default, which no other server has.
type sharedMem struct{ *memState }

// SetSharing sets the times of shared state, and returns a function that restores them.
func SetSharing(lease, bans time.Duration) (restore func()) {
	oldLease, oldBans := leaseTime, bansEvery
	leaseTime, bansEvery = lease, bans
	return func() { leaseTime, bansEvery = oldLease, oldBans }
}

// SetPendingTime sets how long a change may be pending, and returns a function that restores it.
func SetPendingTime(d time.Duration) (restore func()) {
	old := pendingTime
	pendingTime = d
	return func() { pendingTime = old }
}

// BeginChange enters a change of a counted file of the user rw as a server does that is killed before it confirms
// it.
func BeginChange(ctx context.Context, s State, path string, bytes, files int64) error {
	_, err := updateState(ctx, s, stateKey("quota", "rw"), func(t *tally) error {
		t.Bytes += bytes
		t.Files += files
		t.Pending = map[string]pendingChange{"x": {Path: path, Adds: space{bytes, files}, At: time.Now()}}
		return nil
	})
	return err
}

// UpdateState is updateState for a number.
func UpdateState(ctx context.Context, s State, key string, change func(*int) error) (int, error) {
	return updateState(ctx, s, key, change)
}

// PartialName returns the hidden name of an upload to base by owner that replaces target. If random is not 0,
// it is a running one.
func PartialName(base, owner string, target fs.FileInfo, random uint32) string {
	n := partialOf(base, ownerHash(owner), target)
	n.random = random
	return n.String()
}

// ParsePartial returns the final name of a partial upload.
func ParsePartial(name string) (base string, running, ok bool) {
	n, ok := parsePartial(name)
	return n.base, n.random != 0, ok
}

var shortPartial = regexp.MustCompile(`(?s)^\.(.+?)(?:\.([0-9a-f]{8}))?\.upload$`)

// Hidden returns the hidden name for a short form used by tests: ".NAME.upload", or ".NAME.01234567.upload" for
// a running upload. The owner is the user rw, and there is no file to replace.
func Hidden(p string) string {
	dir, base := path.Split(p)
	m := shortPartial.FindStringSubmatch(base)
	if m == nil {
		return p
	}
	return dir + PartialName(m[1], "rw", nil, hex32(m[2]))
}
