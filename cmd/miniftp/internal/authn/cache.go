package authn

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"miniftp/ftp/server"
)

// maxCached is how many answers a cache remembers.
const maxCached = 4096

// cache remembers good answers for a while, so that a client with several connections, or one that logs in often, costs a
// source little. It has no passwords, only keyed hashes: nobody can guess a password from one without the key.
type cache struct {
	keep time.Duration
	key  [sha256.Size]byte // random
	mu   sync.Mutex
	hits map[[sha256.Size]byte]hit
}

// hit is a good answer.
type hit struct {
	from  *member
	keys  map[string]any // not modified
	until time.Time
}

func newCache(keep time.Duration) *cache {
	c := &cache{keep: keep, hits: map[[sha256.Size]byte]hit{}}
	_, _ = rand.Read(c.key[:]) // it never fails
	return c
}

// id returns a keyed hash of all that a source is told about a login, except the port: another address, host name, version of
// TLS or certificate asks again. Of an IPv6 address only the network counts, because clients change the rest.
func (c *cache) id(l *server.Login) (id [sha256.Size]byte) {
	q := newQuestion(l)
	q.Port, q.Address = 0, network(l.Remote.Addr())
	text, _ := q.encode() // it never fails
	mac := hmac.New(sha256.New, c.key[:])
	mac.Write(text)
	mac.Sum(id[:0])
	return id
}

// network returns the address of an IPv4 host, or the IPv6 network of 64 bits.
func network(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String() + a.Zone()
		}
	}
	return a.String()
}

func (c *cache) get(l *server.Login) (hit, bool) {
	if c.keep <= 0 {
		return hit{}, false
	}
	id := c.id(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	h, found := c.hits[id]
	if found && !time.Now().Before(h.until) {
		delete(c.hits, id)
		return hit{}, false
	}
	return h, found
}

// put remembers that a source has answered ok, with those keys.
func (c *cache) put(l *server.Login, from *member, keys map[string]any) {
	if c.keep <= 0 {
		return
	}
	id := c.id(l)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.hits) >= maxCached {
		c.makeRoom()
	}
	c.hits[id] = hit{from, keys, time.Now().Add(c.keep)}
}

// makeRoom drops what is out of date or, if nothing is, any entry. cache.mu must be held.
func (c *cache) makeRoom() {
	now := time.Now()
	for id, h := range c.hits {
		if !now.Before(h.until) {
			delete(c.hits, id)
		}
	}
	for id := range c.hits { // in random order
		if len(c.hits) < maxCached {
			return
		}
		delete(c.hits, id)
	}
}
