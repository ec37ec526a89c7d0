// Package bridge makes storages usable for client verbs. It starts a server in this process, over the storage and for
// the life of a command, and the verb transfers with it as with any other server. So verbs need no second way to
// transfer files: retries, resuming, verdicts and progress are the same.
//
// docs/decisions/37-bridge.md says why the server listens on loopback, and what keeps other users of this host out.
package bridge

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/ftp/server"
)

// user is the only user of the server.
const user = "bridge"

// grace is how long transfers may take to end when the command does. A storage needs some of it to keep what an
// interrupted upload has stored.
const grace = 10 * time.Second

// Bridge is a server over a storage that only this process can use.
type Bridge struct {
	Addr           string // of the server
	User, Password string // for the login

	srv    *server.Server
	closer io.Closer // the storage
	served chan struct{}
	conns  conns
	once   sync.Once
}

// Patience is how long both ends wait for each other. Both are in this process, and a storage has a timeout of its
// own, after which the server replies. It may take long to assemble a file, or to store what a slow line has queued.
const Patience = 24 * time.Hour

// Open opens a storage and starts its server. ctx limits only the opening. log receives what the server reports as
// trouble.
func Open(ctx context.Context, root string, use storage.Use, log *slog.Logger) (*Bridge, error) {
	files, closer, err := storage.OpenFor(ctx, root, use)
	if err != nil {
		return nil, err
	}
	b := &Bridge{User: user, Password: rand.Text(), closer: closer, served: make(chan struct{})} // 130 bits
	b.conns.opened = sync.NewCond(new(sync.Mutex))
	b.conns.dialed = map[ends]time.Time{}
	opts := server.Options{
		Auth:        server.Static{user: {Password: b.Password, Account: server.Account{FS: files, Perm: server.ReadWrite, Owner: owner()}}},
		IdleTimeout: Patience, HashTimeout: server.NoTimeout, StallTimeout: Patience,
		FailureDelay: server.NoDelay, MaxLoginFailures: server.NoLimit, // nobody can guess
		Log: log,
	}
	opts.Guard.Accept = b.conns.isOurs
	if b.srv, err = server.New(opts); err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, closer.Close())
	}
	b.Addr = l.Addr().String()
	go func() {
		defer close(b.served)
		_ = b.srv.Serve(&listener{l, &b.conns})
	}()
	return b, nil
}

// Dial connects to the server. It must be the client's dialer for control and data connections: the server
// accepts no others.
func (b *Bridge) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return b.conns.dial(ctx, network, addr)
}

// Close stops the server and closes the storage. Transfers that are ending may do so within the grace period. It may be
// called more than once.
func (b *Bridge) Close() (err error) {
	b.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		if b.srv.Shutdown(ctx) != nil {
			_ = b.srv.Close()
		}
		<-b.served
		err = b.closer.Close()
	})
	return err
}

// owner identifies who may resume an upload that was interrupted: this user of this host. The same command on
// another host has other local files.
func owner() string {
	host, _ := os.Hostname()
	return user + ":" + strconv.Itoa(os.Getuid()) + "@" + host
}

// conns knows which connections this process has made. On loopback, all users of a host have the same address, but no two
// connections have the same ports at both ends.
type conns struct {
	opened  *sync.Cond
	dialed  map[ends]time.Time // when those were dialed that were not accepted yet
	dialing int                // how many are being dialed
}

// ends holds the addresses of a connection.
type ends struct{ server, client netip.AddrPort }

// forgetAfter is how long a connection may wait to be accepted. That it was closed meanwhile means nothing: the client
// may have sent a small file already. A closed one keeps its port for a minute (TIME_WAIT), and a stranger may get the
// port only then.
const forgetAfter = time.Minute

func (c *conns) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.opened.L.Lock()
	c.dialing++
	c.opened.L.Unlock()
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	c.opened.L.Lock()
	defer c.opened.L.Unlock()
	c.dialing--
	c.opened.Broadcast()
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(c.dialed, func(_ ends, at time.Time) bool { return time.Since(at) > forgetAfter })
	c.dialed[ends{addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr())}] = time.Now()
	return conn, nil
}

// isOurs reports whether this process made the connection from client to server. The server may accept a
// connection before dial knows its address, so isOurs waits while one is being dialed.
func (c *conns) isOurs(server, client netip.AddrPort) bool {
	conn := ends{server, client}
	c.opened.L.Lock()
	defer c.opened.L.Unlock()
	at, ours := c.dialed[conn]
	for ; !ours && c.dialing > 0; at, ours = c.dialed[conn] {
		c.opened.Wait()
	}
	delete(c.dialed, conn)
	return ours && time.Since(at) < forgetAfter
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())
}

// listener accepts only connections of this process.
type listener struct {
	net.Listener
	conns *conns
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.conns.isOurs(addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())) {
			return conn, nil
		}
		_ = conn.Close()
	}
}
