package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestCredentialsStayWithTheirServer: the credentials of a URL or of ~/.netrc are sent only to
// their server: not for another port, user or scheme, not in a retry, and independent of the order
// of the URLs (CVE-2022-27774).
func TestCredentialsStayWithTheirServer(t *testing.T) {
	const anon = "USER anonymous PASS anonymous@"
	for _, tt := range []struct {
		name, netrc string
		urls        []string // A and B are the servers
		a, b        string   // the logins that each gets
	}{
		{"of a URL", "", []string{"ftp://alice:s3cret@A/f", "ftp://B/f"}, "USER alice PASS s3cret", anon},
		{"before it", "", []string{"ftp://B/f", "ftp://alice:s3cret@A/f", "ftp://B/f"}, "USER alice PASS s3cret", anon + " " + anon},
		{"another user", "", []string{"ftp://alice:s3cret@A/f", "ftp://bob@A/f"}, "USER alice PASS s3cret USER bob PASS", ""},
		{"another user, same password", "", []string{"ftp://alice:one@A/f", "ftp://bob:one@A/f"}, "USER alice PASS one USER bob PASS one", ""},
		{"another password", "", []string{"ftp://alice:one@A/f", "ftp://alice:two@A/f", "ftp://alice:one@A/f"}, "USER alice PASS one USER alice PASS two USER alice PASS one", ""},
		{"nobody again", "", []string{"ftp://alice:s3cret@A/f", "ftp://A/f"}, "USER alice PASS s3cret " + anon, ""},
		{"an empty password", "", []string{"ftp://alice:@A/f", "ftp://B/f"}, "USER alice PASS", anon},
		{"the same again", "", []string{"ftp://alice:s3cret@A/f", "ftp://alice:s3cret@A/g"}, "USER alice PASS s3cret", ""},
		{"of netrc, another host", "machine 127.0.0.2 login alice password s3cret", []string{"ftp://A/f", "ftp://B/f"}, anon, anon},
		{"of netrc, another user", "machine 127.0.0.1 login alice password s3cret", []string{"ftp://bob@A/f", "ftp://alice@B/f"}, "USER bob PASS", "USER alice PASS s3cret"},
		{"of netrc, a host that looks like it", "machine 127.0.0.1.evil login alice password s3cret machine 27.0.0.1 login alice password s3cret", []string{"ftp://A/f"}, anon, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := verbtest.NewHostile(t, func(*verbtest.Hostile) {}), verbtest.NewHostile(t, func(*verbtest.Hostile) {})
			dir := t.TempDir()
			netrc := filepath.Join(dir, "netrc")
			if err := os.WriteFile(netrc, []byte(tt.netrc), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("NETRC", netrc)
			args := []string{"miniftp", "get"}
			for _, u := range tt.urls {
				u = strings.Replace(strings.Replace(u, "@A", "@"+a.Addr, 1), "//A", "//"+a.Addr, 1)
				args = append(args, strings.Replace(strings.Replace(u, "@B", "@"+b.Addr, 1), "//B", "//"+b.Addr, 1))
			}
			var out, errs bytes.Buffer
			code := flags.RunWith(t.Context(), verbs, append(args, "-"), verb.Stdio{In: strings.NewReader(""), Out: &out, Err: &errs}, func(int) time.Duration { return 0 })
			if code != 0 {
				t.Errorf("exit %d: %s", code, errs.String())
			}
			for name, x := range map[string][2]string{"A": {strings.Join(a.Logins(), " "), tt.a}, "B": {strings.Join(b.Logins(), " "), tt.b}} {
				if x[0] != x[1] {
					t.Errorf("%s got %q, want %q", name, x[0], x[1])
				}
			}
		})
	}
}

// TestRetriesGoToTheSameServer: if a server breaks off, or directs the client to another address in
// any way, every retry goes to the same server, and nothing connects to the other address.
func TestRetriesGoToTheSameServer(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("no second loopback address:", err)
	}
	defer other.Close()
	called := make(chan string, 100)
	go func() {
		for {
			c, err := other.Accept()
			if err != nil {
				close(called)
				return
			}
			called <- c.LocalAddr().String()
			_ = c.Close()
		}
	}()
	port := other.Addr().(*net.TCPAddr).Port
	to := fmt.Sprintf("127,0,0,2,%d,%d", port>>8, port&255)
	for name, set := range map[string]func(h *verbtest.Hostile){
		"421": func(h *verbtest.Hostile) {
			h.On["RETR"] = func(c *verbtest.Victim, _ string) { c.Say("421 try 127.0.0.2"); _ = c.Close() }
		},
		"a greeting": func(h *verbtest.Hostile) {
			h.On["greeting"] = func(c *verbtest.Victim, _ string) { c.Say("421 go to ftp://%s/", other.Addr()); _ = c.Close() }
		},
		"a reset": func(h *verbtest.Hostile) {
			h.On["RETR"] = func(c *verbtest.Victim, _ string) { _ = c.Conn.(*net.TCPConn).SetLinger(0); _ = c.Close() }
		},
		"227": func(h *verbtest.Hostile) {
			h.On["EPSV"] = refuse500
			h.On["PASV"] = func(c *verbtest.Victim, _ string) { c.Say("227 (%s)", to) }
		},
		"227 without ( )": func(h *verbtest.Hostile) {
			h.On["EPSV"] = refuse500
			h.On["PASV"] = func(c *verbtest.Victim, _ string) { c.Say("227 %s", to) }
		},
		"229 with a host": func(h *verbtest.Hostile) {
			h.On["EPSV"] = func(c *verbtest.Victim, _ string) { c.Say("229 (|1|127.0.0.2|%d|)", port) }
		},
		"227 to EPSV": func(h *verbtest.Hostile) {
			h.On["EPSV"] = func(c *verbtest.Victim, _ string) { c.Say("227 (%s)", to) }
			h.On["PASV"] = h.On["EPSV"]
		},
		"228, 229 to PASV": func(h *verbtest.Hostile) {
			h.On["EPSV"] = refuse500
			h.On["PASV"] = func(c *verbtest.Victim, _ string) { c.Say("229 (|1|127.0.0.2|%d|)", port) }
		},
	} {
		h := verbtest.NewHostile(t, set)
		t.Chdir(t.TempDir())
		code, _, _ := try(t, "get", "--retries", "2", "--timeout", "1s", "ftp://alice:s3cret@"+h.Addr+"/f")
		if code == 0 {
			t.Errorf("%s: exit 0", name)
		}
		if got := h.Logins(); name != "a greeting" && (len(got) == 0 || slices.ContainsFunc(got, func(l string) bool { return l != "USER alice" && l != "PASS s3cret" })) {
			t.Errorf("%s: the logins are %q", name, got)
		}
	}
	_ = other.Close()
	for addr := range called {
		t.Errorf("a client connected to %s", addr)
	}
}

func refuse500(c *verbtest.Victim, _ string) { c.Say("500 what?") }
