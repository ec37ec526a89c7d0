package fxp_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
	"miniftp/ftp/internal/party"
)

// TestProxiedServerHasNoAddress checks a server that is reached through a proxy, so that its address is unknown. The other
// server must not be told to connect to the proxy.
func TestProxiedServerHasNoAddress(t *testing.T) {
	var mu sync.Mutex
	var said []string
	o := func(o *client.Options) {
		o.Observer = ftp.ObserverFunc(func(e ftp.Event) {
			if cmd, ok := e.What.(ftp.CommandGiven); ok {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, cmd.Command.String())
			}
		})
	}
	a, b := party.Ours(t, "127.0.0.1", true), party.Ours(t, "127.0.0.2", true)
	a.Write(t, "/a", "hello")
	far := a.Dial(t, o, func(o *client.Options) {
		o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return elsewhere{conn}, err
		}
	})
	near := b.Dial(t, o)
	if _, err := party.Between(t.Context(), far, "/a", near, "/b", fxp.Plan{}); err == nil {
		t.Error("a copy with an unknown address returned no error")
	}
	mu.Lock()
	defer mu.Unlock()
	for _, line := range said {
		if strings.HasPrefix(line, "PORT 127,0,0,2") || strings.Contains(line, "|127.0.0.2|") || strings.Contains(line, "0,0,0,0") {
			t.Errorf("an address was announced: %s", line)
		}
	}
	if len(said) == 0 {
		t.Error("no command was sent")
	}
}

// elsewhere is a connection that ends at a proxy.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 1080} }
