package client_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/peers"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/server"
)

// count returns the number of entries in a directory.
func count(t *testing.T, c *client.Client, dir string) (n int, err error) {
	t.Helper()
	for _, err := range c.List(t.Context(), dir) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// bothWays uploads files, downloads them again and lists them, over one connection.
func bothWays(t *testing.T, c *client.Client, dir string) {
	t.Helper()
	long := strings.Repeat("a line of text\n", 80_000)
	for name, text := range map[string]string{"empty": "", "short": "text", "long": long, "random": string(testutil.Noise(1_000_000))} {
		if n, err := c.Store(t.Context(), dir+name, strings.NewReader(text)); err != nil || n != int64(len(text)) {
			t.Fatalf("store %s: %d, %v", name, n, err)
		}
		var got bytes.Buffer
		if n, err := c.Retrieve(t.Context(), dir+name, &got); err != nil || n != int64(len(text)) || got.String() != text {
			t.Errorf("retrieve %s: %d, %v", name, n, err)
		}
		got.Reset()
		if res, err := c.RetrieveWith(t.Context(), client.Transfer{Path: dir + name, Offset: int64(len(text) / 2)}, &got); err != nil || got.String() != text[len(text)/2:] {
			t.Errorf("the rest of %s: %+v, %v", name, res, err)
		}
	}
	if n, err := count(t, c, dir); n != 4 || err != nil {
		t.Errorf("list: %d, %v", n, err)
	}
	if _, err := c.Retrieve(t.Context(), dir+"none", io.Discard); !errors.As(err, new(*ftp.Error)) {
		t.Errorf("none: %v", err)
	}
	got, err := c.Retrieve(t.Context(), dir+"short", io.Discard)
	if err != nil || got != 4 {
		t.Errorf("after a refusal: %d, %v", got, err)
	}
}

func TestTransferModes(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	for name, mode := range map[string]client.TransferMode{"stream": client.StreamMode, "block": client.BlockMode, "deflate": client.DeflateMode} {
		for _, data := range []ftp.DataMode{ftp.Passive, ftp.Active} {
			for _, secure := range []bool{false, true} {
				seen := &counting{}
				opts := &client.Options{TransferMode: mode, Mode: data, Observer: seen}
				with := []ftptest.Option{ftptest.WithOptions(func(o *server.Options) { o.ModeZ = true })}
				if secure {
					with = append(with, ftptest.WithTLS())
				}
				srv := ftptest.NewServer(t, fsroot.NewMem(), with...)
				if secure {
					opts.TLS, opts.TLSConfig = client.ExplicitTLS, &tls.Config{RootCAs: srv.CAs}
				}
				c, err := client.Dial(t.Context(), srv.Addr, opts)
				if err != nil {
					t.Fatal(err)
				}
				bothWays(t, c, "/")
				if seen.opened > 2 && mode == client.BlockMode {
					t.Errorf("%s %v: %d data connections", name, data, seen.opened)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// If the server does not support the requested mode, its refusal is returned.
func TestModeRefused(t *testing.T) {
	srv := ftptest.NewServer(t, fsroot.NewMem())
	c, err := client.Dial(t.Context(), srv.Addr, &client.Options{TransferMode: client.DeflateMode})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var no *ftp.Error
	if _, err := c.Store(t.Context(), "/f", strings.NewReader("x")); !errors.As(err, &no) || no.Verb != "MODE" || no.Code != 504 {
		t.Errorf("Store: %v, want 504 to MODE", err)
	}
}

// If the data connection that block mode has kept is gone when the next transfer needs it, a new one is made.
func TestKeptConnectionGone(t *testing.T) {
	srv := ftptest.NewServer(t, fsroot.NewMem())
	c, err := client.Dial(t.Context(), srv.Addr, &client.Options{TransferMode: client.BlockMode})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Store(t.Context(), "/f", strings.NewReader("text")); err != nil {
		t.Fatal(err)
	}
	srv.Fail("RETR", ftptest.CutAfter(0))
	if _, err := c.Retrieve(t.Context(), "/f", io.Discard); err == nil {
		t.Error("a transfer that was cut short returned no error")
	}
	srv.Heal()
	if n, err := c.Retrieve(t.Context(), "/f", io.Discard); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
}

// ProFTPD supports MODE Z. It fails with 451 ("Input/output error") for uploads that expand strongly, lftp's as well
// as ours, so the test data only halves.
func TestModeDeflateAtPeers(t *testing.T) {
	t.Parallel()
	for _, data := range []ftp.DataMode{ftp.Passive, ftp.Active} {
		dir := t.TempDir()
		s := peers.Start(t, "proftpd", dir, peers.Options{Deflate: true})
		for _, level := range []int{0, 9}[:2-int(data)] {
			c, err := client.Dial(t.Context(), s.Addr, &client.Options{User: s.User, Password: s.Password, Mode: data, TransferMode: client.DeflateMode, Level: level})
			if err != nil {
				t.Fatal(err)
			}
			text := hex.EncodeToString(testutil.Noise(50_000)) // proftpd is slow with more
			if n, err := c.Store(t.Context(), "f", strings.NewReader(text)); err != nil || n != int64(len(text)) {
				t.Fatalf("%v: store: %d, %v", data, n, err)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(b) != text {
				t.Errorf("%v: %d bytes arrived, %v", data, len(b), err)
			}
			var got bytes.Buffer
			if _, err := c.Retrieve(t.Context(), "f", &got); err != nil || got.String() != text {
				t.Errorf("%v: retrieve: %d bytes, %v", data, got.Len(), err)
			}
			if n, err := count(t, c, ""); n != 1 || err != nil {
				t.Errorf("%v: list: %d, %v", data, n, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A file that expands beyond all measure is rejected by the client, and that is the error.
func TestDeflateBomb(t *testing.T) {
	testutil.Long(t)
	site := fsroot.NewMem()
	testutil.Grow(t, site, map[string]string{"/zeros": strings.Repeat("\x00", 40<<20)})
	srv := ftptest.NewServer(t, site, ftptest.WithOptions(func(o *server.Options) { o.ModeZ = true }))
	c, err := client.Dial(t.Context(), srv.Addr, &client.Options{TransferMode: client.DeflateMode})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Retrieve(t.Context(), "/zeros", io.Discard)
	if !errors.Is(err, dtp.ErrExpands) || client.Temporary(err) {
		t.Errorf("Retrieve: %v, want ErrExpands, not temporary", err)
	}
	if n, err := c.Size(t.Context(), "/zeros"); err != nil || n != 40<<20 {
		t.Errorf("after it: %d, %v", n, err)
	}
}
