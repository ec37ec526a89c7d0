package bridge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/ftp/client"
)

// TestStrangers: the server accepts connections of this bridge only, although others have the same address. This
// holds for the control connection and for data connections.
func TestStrangers(t *testing.T) {
	b, err := Open(t.Context(), "mem://", storage.Use{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	refused := func(addr string) {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if b, err := io.ReadAll(conn); len(b) > 0 || isTimeout(err) {
			t.Errorf("a stranger is not disconnected from %s: %q, %v", addr, b, err)
		}
	}
	refused(b.Addr)

	// The stranger connects to each data port before the client does.
	strangers := 0
	o := client.Options{User: b.User, Password: b.Password, Timeout: 10 * time.Second}
	o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != b.Addr {
			conn, err := net.Dial(network, addr)
			if err != nil {
				t.Error(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			strangers++
		}
		return b.Dial(ctx, network, addr)
	}
	c, err := client.Dial(t.Context(), b.Addr, &o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		for entry, err := range c.List(t.Context(), "") {
			t.Errorf("%v, %v", entry, err)
		}
	}
	if strangers == 0 {
		t.Error("there was no data connection")
	}
}

// TestWrongPassword: an address is not enough.
func TestWrongPassword(t *testing.T) {
	b, err := Open(t.Context(), "mem://", storage.Use{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, o := range []client.Options{{}, {User: b.User, Password: "x"}, {User: "alice", Password: b.Password}} {
		o.Dial = b.Dial
		if c, err := client.Dial(t.Context(), b.Addr, &o); client.KindOf(err) != client.KindLogin {
			t.Errorf("login as %q: %v, %v", o.User, c, err)
		}
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
