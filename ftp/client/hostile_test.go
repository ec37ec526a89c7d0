package client_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// Every exported method of Client with a string parameter must be tested by TestInjection or listed here.
func TestInjectionKnowsEveryMethod(t *testing.T) {
	f := fakeserver.New(t, nil)
	c := dial(t, f, nil)
	n := len(f.Commands())
	for _, p := range []string{"a\r\nDELE b", "a\nDELE b", "a\x00b"} {
		if _, err := c.RetrieveWith(t.Context(), client.Transfer{Path: p}, io.Discard); !errors.Is(err, ftp.ErrLineBreak) {
			t.Errorf("RetrieveWith(%q): %v", p, err)
		}
		if _, err := c.StoreWith(t.Context(), client.Transfer{Path: p}, strings.NewReader("")); !errors.Is(err, ftp.ErrLineBreak) {
			t.Errorf("StoreWith(%q): %v", p, err)
		}
	}
	if got := f.Since(n); len(got) > 0 {
		t.Errorf("the server got %q", got)
	}
	known := ""
	for _, name := range []string{"manage_test.go", "hostile_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		known += string(b)
	}
	methods := 0
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || !f.Name.IsExported() || !takesString(f) {
				continue
			}
			star, ok := f.Recv.List[0].Type.(*ast.StarExpr)
			if !ok {
				continue
			}
			if of, ok := star.X.(*ast.Ident); !ok || of.Name != "Client" {
				continue
			}
			methods++
			if !strings.Contains(known, "c."+f.Name.Name+"(") {
				t.Errorf("%s has a string parameter: add it to TestInjection", f.Name.Name)
			}
		}
	}
	if methods < 20 {
		t.Errorf("only %d methods were found", methods)
	}
}

func takesString(f *ast.FuncDecl) bool {
	return slices.ContainsFunc(f.Type.Params.List, func(p *ast.Field) bool {
		switch x := p.Type.(type) {
		case *ast.Ident:
			return x.Name == "string" || x.Name == "Transfer"
		}
		return false
	})
}

// Endless replies, before a command or after it, end the connection.
func TestReplyFloods(t *testing.T) {
	flood := func(line string) func(*fakeserver.Session, string) {
		return func(s *fakeserver.Session, _ string) {
			for range 1_000_000 {
				if _, err := s.Conn.Write([]byte(strings.Repeat(line+"\r\n", 100))); err != nil {
					return
				}
			}
		}
	}
	for name, x := range map[string]struct{ verb, line string }{
		"120 at the login": {"USER", "120 in a moment"}, "150 at a transfer": {"RETR", "150 here it comes"}, "226 at a transfer": {"RETR", "226 done"},
	} {
		t.Run(name, func(t *testing.T) {
			f := fakeserver.New(t, func(f *fakeserver.Server) { f.On[x.verb] = flood(x.line); f.SetFile("a", "content") })
			c, err := client.Dial(t.Context(), f.Addr, nil)
			var dead *client.DeadError
			for i := 0; !errors.As(err, &dead) && i < 20; i++ {
				_, err = c.Retrieve(t.Context(), "a", io.Discard)
			}
			if !errors.As(err, &dead) || !strings.Contains(err.Error(), "without end") {
				t.Errorf("the error is %v", err)
			}
			if c != nil {
				_ = c.Close()
			}
		})
	}
}

// bomb is a server on which every directory contains many others.
func bomb(t *testing.T, wide int) *client.Client {
	t.Helper()
	var listing strings.Builder
	for i := range wide {
		fmt.Fprintf(&listing, "type=dir; d%d\r\n", i)
	}
	f := fakeserver.New(t, func(f *fakeserver.Server) {
		f.Feat = fakeserver.MLST
		f.On["MLSD"] = func(s *fakeserver.Session, _ string) {
			s.Say("150 here it comes")
			s.Send(listing.String())
			s.Say("226 done")
		}
		f.On["CWD"] = fakeserver.Says("250 there")
		f.On["DELE"] = fakeserver.Says("550 no")
		f.On["RMD"] = fakeserver.Says("550 no")
		f.On["MLST"] = func(s *fakeserver.Session, _ string) { s.Say("250-facts\r\n type=dir; d\r\n250 end") }
	})
	return dial(t, f, nil)
}

// Trees and patterns that grow without end are given up: a pattern when the matches need too much memory, a tree that
// contains itself when it is too deep.
func TestBombs(t *testing.T) {
	t.Parallel()
	testutil.Long(t)
	if _, err := bomb(t, 500).Glob(t.Context(), "*/*/*/*/*/*/*/*"); !errors.Is(err, client.ErrTooMany) {
		t.Errorf("a pattern: %v", err)
	}
	if err := bomb(t, 1).RemoveAll(t.Context(), "d"); !errors.Is(err, client.ErrTooDeep) {
		t.Errorf("a removal: %v", err)
	}
	var last error
	n := 0
	for _, err := range bomb(t, 1).Walk(t.Context(), "d") {
		if n++; err != nil {
			last = err
		}
	}
	if !errors.Is(last, client.ErrTooDeep) || n > 200 {
		t.Errorf("a walk: %d entries, %v", n, last)
	}
}

// A server that supports only TLS 1.0 or 1.1 gets no login.
func TestOldTLSServerIsRefused(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		f, o := secureFake(t, func(_ *fakeserver.Server, cfg *tls.Config) {
			cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, version
		})
		c, err := client.Dial(t.Context(), f.Addr, o)
		var noTLS *client.TLSError
		if !errors.As(err, &noTLS) {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = c.Close()
		}
		if f.Count("USER") > 0 {
			t.Errorf("%s: a login was sent", tls.VersionName(version))
		}
	}
}

// The current directory that the server reports becomes part of later commands. It must not inject commands.
func TestHostile257(t *testing.T) {
	for _, reply := range []string{`257 "/a`, `257 a b`, `257 "/a""`, `257 `, `257 "` + strings.Repeat("x", 60_000), "257 \"/a\x00b\"", "257 \"/a\rDELE b\"", `257 "" is nothing`} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.On["PWD"] = fakeserver.Says(reply)
			f.On["CWD"] = fakeserver.Says("250 there")
			f.Dirs[""] = "-rw-r--r-- 1 a b 5 Jan  1 2020 x\r\n"
		})
		c := dial(t, f, nil)
		dir, err := c.Pwd(t.Context())
		if err == nil && reply != `257 "" is nothing` {
			t.Errorf("%.20q: %.20q", reply, dir)
		}
		if err != nil && !errors.Is(err, ftp.ErrSyntax) {
			t.Errorf("%.20q: %v", reply, err)
		}
		for range c.List(t.Context(), "with [brackets]") { // sends CWD, and CWD back to the reply of PWD
		}
		for _, line := range f.Commands() {
			if strings.HasPrefix(line, "DELE") || strings.ContainsAny(line, "\r\x00") {
				t.Errorf("%.20q: the server got %q", reply, line)
			}
		}
	}
}

// If passive mode does not work, the Client returns an error. It does not reveal its own address to the server by
// trying active mode (CVE-2015-7665).
func TestPassiveStaysPassive(t *testing.T) {
	for _, no := range []string{"500 what?", "522 not that", "425 no", "530 no"} {
		f := fakeserver.New(t, func(f *fakeserver.Server) {
			f.On["EPSV"], f.On["PASV"] = fakeserver.Says(no), fakeserver.Says(no)
			f.SetFile("a", "content")
		})
		if _, err := dial(t, f, nil).Retrieve(t.Context(), "a", io.Discard); err == nil {
			t.Errorf("%s: no error", no)
		}
		if n := f.Count("PORT") + f.Count("EPRT") + f.Count("RETR"); n > 0 {
			t.Errorf("%s: commands after the failure: %q", no, f.Commands())
		}
	}
}
