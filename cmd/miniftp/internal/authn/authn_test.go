package authn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"miniftp/fsroot"
	"miniftp/ftp/server"
)

// fake is a source that answers what a function returns.
type fake func(ctx context.Context, q *question) (answer, error)

func (f fake) ask(ctx context.Context, q *question) (answer, error) { return f(ctx, q) }
func (f fake) close()                                               {}

// always returns a source that answers the same each time, and counts.
func always(r result, asked *int) fake {
	return func(context.Context, *question) (answer, error) {
		*asked++
		return answer{result: r}, nil
	}
}

// chainOf returns a Chain of file, with alice, and fakes, in that order. Its log is in the buffer.
func chainOf(t *testing.T, keep time.Duration, fakes ...fake) (*Chain, *bytes.Buffer) {
	t.Helper()
	c, err := New(Config{
		Sources: []string{File}, Timeout: 5 * time.Second, Cache: keep,
		Users: server.Static{"alice": {Password: "a", Account: server.Account{FS: fsroot.NewMem()}}},
		Account: func(user string, keys map[string]any) (*server.Account, error) {
			if keys["bad"] != nil {
				return nil, fmt.Errorf("key bad: %v", keys["bad"])
			}
			if keys["expired"] != nil {
				return &server.Account{FS: fsroot.NewMem(), Name: user, Expires: time.Now()}, nil
			}
			return &server.Account{FS: fsroot.NewMem(), Name: user, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.pause = 0
	for i, f := range fakes {
		c.sources = append(c.sources, &member{source: f, name: fmt.Sprint("exec:/", i), counts: &counts{}})
	}
	var log bytes.Buffer
	c.log = slog.New(slog.NewTextHandler(&log, nil))
	return c, &log
}

// long is a timeout that a test does not reach, not even on a busy machine.
const long = 2 * time.Minute

// login returns a login from an allowed address.
func login(user, password string) server.Login {
	return server.Login{User: user, Password: password, Remote: netip.MustParseAddrPort("192.0.2.7:1234")}
}

// verdict says what became of a login.
func verdict(ctx context.Context, c *Chain, l server.Login) string {
	account, err := c.Authenticate(ctx, l)
	switch {
	case errors.Is(err, server.ErrAuthUnavailable):
		return "unavailable"
	case errors.Is(err, server.ErrLogin):
		return "refused"
	case err != nil:
		return err.Error()
	}
	return "ok " + account.Name
}

// TestOrder: the first source that knows the user decides, and the following ones are not asked.
func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		first, second result
		user          string
		want          string
		asked         [2]int
	}{
		{ok, ok, "alice", "ok alice", [2]int{}}, // with the password of file
		{ok, wrong, "bob", "ok bob", [2]int{1, 0}},
		{wrong, ok, "bob", "refused", [2]int{1, 0}},
		{unknown, ok, "bob", "ok bob", [2]int{1, 1}},
		{unknown, unknown, "bob", "refused", [2]int{1, 1}},
	} {
		var asked [2]int
		c, _ := chainOf(t, 0, always(tt.first, &asked[0]), always(tt.second, &asked[1]))
		if got := verdict(t.Context(), c, login(tt.user, "a")); got != tt.want || asked != tt.asked {
			t.Errorf("%+v: %s, asked %v", tt, got, asked)
		}
	}
	// Another source may come first. It is asked about users of the configuration, too.
	var asked int
	c, _ := chainOf(t, 0, always(unknown, &asked))
	slices.Reverse(c.sources)
	if got := verdict(t.Context(), c, login("alice", "a")); got != "ok alice" || asked != 1 {
		t.Errorf("%s, asked %d times", got, asked)
	}
}

// TestNotAsked: logins that no program and no web service may see.
func TestNotAsked(t *testing.T) {
	var asked int
	c, _ := chainOf(t, 0, always(ok, &asked))
	for _, l := range []server.Login{
		login("alice", "wrong"), // known to file
		login("ALICE", "a"), login("Alıce", "a"),
		login("anonymous", "x@y"), login("ftp", "x@y"), login("FTP", "x@y"),
		login("bob", ""), login("bob", "\xff"), login("\xffbob", "a"),
		{User: "alice", Remote: netip.MustParseAddrPort("192.0.2.7:1")},
	} {
		if got := verdict(t.Context(), c, l); got != "refused" || asked != 0 {
			t.Errorf("%q: %s, asked %d times", l.User, got, asked)
			asked = 0
		}
	}
	// With a certificate there is no password.
	if got := verdict(t.Context(), c, server.Login{User: "bob", Certified: true, Remote: login("", "").Remote}); got != "ok bob" || asked != 1 {
		t.Errorf("certified: %s, asked %d times", got, asked)
	}
	// The networks of the account count before its login does.
	l := login("bob", "x")
	l.Remote = netip.MustParseAddrPort("198.51.100.1:1")
	if got := verdict(t.Context(), c, l); got != "refused" {
		t.Errorf("from another network: %s", got)
	}
	l.Remote = netip.MustParseAddrPort("[::ffff:192.0.2.1]:1")
	if got := verdict(t.Context(), c, l); got != "ok bob" {
		t.Errorf("from a mapped address: %s", got)
	}
}

// TestRefusalTime: refusals of all kinds take the same time.
func TestRefusalTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := chainOf(t, 0, func(_ context.Context, q *question) (answer, error) {
			if q.User == "bob" {
				time.Sleep(300 * time.Millisecond)
				return answer{result: wrong}, nil
			}
			if q.User == "late" && q.Password == "a" {
				return answer{result: ok, account: map[string]any{"expired": true}}, nil
			}
			return answer{result: unknown}, nil
		})
		c.config.Users["former"] = server.User{Password: "a", Account: server.Account{FS: fsroot.NewMem(), Expires: time.Now()}}
		c.config.Users["guest"] = server.User{Anyone: true, Account: server.Account{FS: fsroot.NewMem(), Expires: time.Now()}}
		c.pause = refusalTime
		for _, user := range []string{"alice", "ALICE", "bob", "carol", "anonymous", "late", "former", "guest"} {
			for _, password := range []string{"wrong", "a"} { // the right one of accounts that have expired
				if user == "alice" && password == "a" {
					continue
				}
				start := time.Now()
				if got := verdict(t.Context(), c, login(user, password)); got != "refused" || time.Since(start) != refusalTime {
					t.Errorf("%s, %s: %s after %v", user, password, got, time.Since(start))
				}
			}
		}
		start := time.Now()
		if got := verdict(t.Context(), c, login("alice", "a")); got != "ok alice" || time.Since(start) != 0 {
			t.Errorf("%s after %v", got, time.Since(start))
		}
	})
}

// TestBadAccount: a mistake in an account refuses the login for now, without the password in the error, and says nothing about the
// source as a whole.
func TestBadAccount(t *testing.T) {
	c, _ := chainOf(t, time.Minute, func(_ context.Context, q *question) (answer, error) {
		return answer{result: ok, account: map[string]any{"bad": "se\"cret"}}, nil
	})
	for range 2 * breakAfter {
		_, err := c.Authenticate(t.Context(), login("bob", "se\"cret"))
		if !errors.Is(err, server.ErrAuthUnavailable) || err.Error() != "the login could not be checked: exec:/0: the account in its answer: key bad: ****" {
			t.Errorf("%v", err)
		}
	}
	if c.Stats()[0].Broken {
		t.Error("broken by a mistake in one account")
	}
}

// TestContinue: a Chain counts on where the one before has stopped, and forgets its cache.
func TestContinue(t *testing.T) {
	var asked int
	old, _ := chainOf(t, time.Minute, always(ok, &asked))
	verdict(t.Context(), old, login("bob", "x"))
	next, _ := chainOf(t, time.Minute, always(ok, &asked), always(ok, &asked))
	next.Continue(old, slog.Default())
	verdict(t.Context(), next, login("bob", "x"))
	if s := next.Stats(); asked != 2 || len(s) != 2 || s[0].Counts["ok"] != 2 || s[1].Counts["ok"] != 0 {
		t.Errorf("asked %d times; %+v", asked, s)
	}
	next.Continue(nil, slog.Default())
	(*Chain)(nil).Close()
	if (*Chain)(nil).Stats() != nil {
		t.Error("nil has sources")
	}
}

func TestNew(t *testing.T) {
	for spec, want := range map[string]string{
		"ldap:x":                  `"ldap:x": write file, exec:/PATH/OF/PROGRAM or https://HOST/PATH`,
		"exec:relative":           `"exec:relative": write the whole path of the program: exec:/PATH/OF/PROGRAM`,
		"exec:/does/not/exist":    `"exec:/does/not/exist": can't be run: no such file or directory`,
		"http://example.org/":     `"http://example.org/": http:// is accepted for this machine only: use https`,
		"https://u:secret@h":      `"https://u:****@h": write https://HOST/PATH, without a user and a fragment`,
		"":                        `"": write file, exec:/PATH/OF/PROGRAM or https://HOST/PATH`,
		"https://h/token?x=token": "",
	} {
		c, err := New(Config{Sources: []string{spec}})
		if got := fmt.Sprint(err); want != "" && got != want {
			t.Errorf("%s: %s", spec, got)
		} else if want == "" && (err != nil || c.sources[0].name != "https://h" || !c.HasWeb()) {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

// TestAsStatic: a Server protects and checks the users of the configuration as if they were its Authenticator.
func TestAsStatic(t *testing.T) {
	var c server.Authenticator
	c, _ = chainOf(t, 0)
	if users, isUsers := c.(server.UsersAuthenticator); !isUsers || len(users.Users()) != 1 {
		t.Error("it does not return the users")
	}
	if users, isFXP := c.(server.FXPAuthenticator); !isFXP || !users.FXP() {
		t.Error("FEAT would not list the commands of copies before the login")
	}
	bad, err := New(Config{Sources: []string{File}, Users: server.Static{"a": {Password: "$1$x"}}})
	if err != nil {
		t.Fatal(err)
	}
	if users, isCheck := server.Authenticator(bad).(server.CheckAuthenticator); !isCheck || users.Check() == nil {
		t.Error("it does not check the users")
	}
}
