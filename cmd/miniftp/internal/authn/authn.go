// Package authn decides who may log in. It asks one source after the other: the users of the configuration, programs, and
// web services. Its Chain is a server.Authenticator.
//
// It knows nothing of settings: serve/auth.go makes a Chain of them, and accounts of answers. question.go has what sources
// are asked, answer.go what they may answer, program.go and web.go how they are reached, and breaker.go what happens while
// one is down.
package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// File names the source that consists of the users of the configuration.
const File = "file"

// atOnce is how many logins the sources of a Chain are asked about at once. The others wait for their turn.
const atOnce = 16

// refusalTime is how long a refusal takes at least. It hides the time that sources take, and whether a source was asked: an
// unknown name, a wrong password and a wrong password of a user of the configuration take the same time, unless a source
// takes longer.
const refusalTime = time.Second

// Config is what a Chain is made of.
type Config struct {
	Sources []string      // in order: File, exec:/PATH/OF/PROGRAM, https://HOST/PATH or, on this machine, http://
	Timeout time.Duration // for the answer of one source
	Cache   time.Duration // for which good answers are remembered; 0: not at all
	Secret  []byte        // signs the requests to web services

	Users server.Static // those of File
	// Account returns the account of a user for whom a source has answered ok, with those keys. It returns an error if a
	// key is not known or its value makes no sense.
	Account func(user string, keys map[string]any) (*server.Account, error)
}

// Chain asks sources about logins. It is safe for concurrent use.
//
// It implements what a Server asks a Static for besides logins, so that the users of the configuration are protected and
// checked as without other sources.
type Chain struct {
	log     *slog.Logger
	config  Config
	sources []*member
	similar map[string]bool // the folded names of Config.Users
	queue   *server.LoginQueue
	cache   *cache
	pause   time.Duration // refusalTime, except in tests
}

// source answers questions about logins.
type source interface {
	// ask returns an error if there is no answer that makes sense. It ends soon after ctx.
	ask(ctx context.Context, q *question) (answer, error)
	close()
}

// member is a source of a Chain.
type member struct {
	source  // nil for File
	name    string
	breaker breaker
	counts  *counts
}

// New returns a Chain. Each source is checked, but not asked. The caller must close it.
func New(config Config) (*Chain, error) {
	c := &Chain{
		log: slog.New(slog.DiscardHandler), config: config, similar: map[string]bool{},
		queue: server.NewLoginQueue(atOnce), cache: newCache(config.Cache), pause: refusalTime,
	}
	for _, spec := range config.Sources {
		m := &member{name: spec, counts: &counts{}}
		if spec != File {
			var err error
			if m.source, m.name, err = parse(spec, config.Secret); err != nil {
				return nil, fmt.Errorf("%q: %w", ftp.Printable(ftp.MaskURL(spec)), err)
			}
		}
		if i := slices.IndexFunc(c.sources, func(o *member) bool { return o.name == m.name }); i >= 0 {
			m.counts = c.sources[i].counts
		}
		c.sources = append(c.sources, m)
	}
	for name := range config.Users {
		c.similar[fold(name)] = true
	}
	return c, nil
}

// parse returns a source, and its name without what may be a secret.
func parse(spec string, secret []byte) (s source, name string, err error) {
	kind, rest, _ := strings.Cut(spec, ":")
	switch kind {
	case "exec":
		return newProgram(rest)
	case "https", "http":
		return newWeb(spec, secret)
	}
	return nil, "", errors.New("write file, exec:/PATH/OF/PROGRAM or https://HOST/PATH")
}

// Continue makes c the successor of old, which may be nil: c writes to log, and counts on. It must be called before c is
// used.
func (c *Chain) Continue(old *Chain, log *slog.Logger) {
	c.log = log
	if old == nil {
		return
	}
	for _, m := range c.sources {
		for _, before := range old.sources {
			if before.name == m.name {
				m.counts = before.counts
			}
		}
	}
}

// Close closes the connections to web services that are not in use.
func (c *Chain) Close() {
	if c == nil {
		return
	}
	for _, m := range c.sources {
		if m.source != nil {
			m.close()
		}
	}
}

// HasWeb reports whether a source is a web service.
func (c *Chain) HasWeb() bool {
	for _, m := range c.sources {
		if _, ok := m.source.(*web); ok {
			return true
		}
	}
	return false
}

// Users implements server.UsersAuthenticator.
func (c *Chain) Users() server.Static { return c.config.Users }

// Check implements server.CheckAuthenticator.
func (c *Chain) Check() error { return c.config.Users.Check() }

// FXP implements server.FXPAuthenticator: an answer may permit it.
func (c *Chain) FXP() bool { return true }

var (
	errNobody     = fmt.Errorf("%w: no source knows the user", server.ErrLogin)
	errNotUTF8    = fmt.Errorf("%w: the name or the password is not UTF-8, so only file is asked", server.ErrLogin)
	errNoPassword = fmt.Errorf("%w: the password is empty, so only file is asked", server.ErrLogin)
	errAnonymous  = fmt.Errorf("%w: only file is asked about anonymous users", server.ErrLogin)
	errSimilar    = fmt.Errorf("%w: a user of file has the same name in other letters, so only file is asked", server.ErrLogin)
)

// Authenticate implements server.Authenticator.
func (c *Chain) Authenticate(ctx context.Context, l server.Login) (*server.Account, error) {
	start := time.Now()
	account, err := c.authenticate(ctx, l)
	if errors.Is(err, server.ErrLogin) {
		select {
		case <-time.After(c.pause - time.Since(start)):
		case <-ctx.Done():
		}
	}
	return account, err
}

func (c *Chain) authenticate(ctx context.Context, l server.Login) (*server.Account, error) {
	why := c.mustNotAsk(l)
	if why == nil {
		if hit, ok := c.cache.get(&l); ok {
			hit.from.counts.add(cached)
			return c.admit(hit.from, l, hit.keys)
		}
	}
	for _, m := range c.sources {
		switch {
		case m.source == nil:
			if !c.knows(l.User) {
				continue
			}
			account, err := c.config.Users.Authenticate(ctx, l)
			if err != nil {
				return nil, err
			}
			return admitted(account, l)
		case why != nil:
			continue
		}
		got, err := c.ask(ctx, m, l)
		switch {
		case err != nil:
			return nil, err
		case got.result == wrong:
			return nil, fmt.Errorf("%w: refused by %s", server.ErrLogin, m.name)
		case got.result == ok:
			account, err := c.admit(m, l, got.account)
			if err == nil {
				c.cache.put(&l, m, got.account)
			}
			return account, err
		}
	}
	if why != nil {
		return nil, why
	}
	return nil, errNobody
}

// knows reports whether the user is one of the configuration, as server.Static finds them.
func (c *Chain) knows(user string) bool {
	_, known := c.config.Users[user]
	if !known && isAnonymous(user) {
		_, known = c.config.Users["anonymous"]
	}
	return known
}

func isAnonymous(user string) bool {
	return strings.EqualFold(user, "anonymous") || strings.EqualFold(user, "ftp")
}

// mustNotAsk returns why no program and no web service may be asked about a login, or nil.
//
// Many directory services treat a login with an empty password as an anonymous one, and accept it. Many also ignore the
// case of names: without the rule about similar ones, a user who is locked out as alice could log in as ALICE, or get the
// root of alice on a filesystem that also ignores case.
func (c *Chain) mustNotAsk(l server.Login) error {
	switch {
	case isAnonymous(l.User):
		return errAnonymous
	case !utf8.ValidString(l.User), !utf8.ValidString(l.Password): // JSON can't hold them
		return errNotUTF8
	case l.Password == "" && !l.Certified:
		return errNoPassword
	case c.similar[fold(l.User)] && !c.knows(l.User):
		return errSimilar
	}
	return nil
}

// fold returns the same text for names that differ only in case.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// ask asks a source when it is the turn of the login, unless the source is known to be down.
func (c *Chain) ask(ctx context.Context, m *member, l server.Login) (got answer, err error) {
	if m.breaker.isOpen() {
		return answer{}, m.skipped()
	}
	if err := c.queue.Acquire(ctx, l); err != nil {
		return answer{}, err
	}
	defer c.queue.Release()
	probe, may := m.breaker.enter()
	if !may {
		return answer{}, m.skipped()
	}
	full := time.Now().Add(c.config.Timeout)
	limited, cancel := context.WithDeadline(ctx, full)
	defer cancel()
	o := failure // also if m.ask panics: a probe must end
	defer func() { c.leave(m, probe, o, err) }()
	got, err = m.ask(limited, newQuestion(&l))
	switch {
	// The client is gone, the server stops, or the time for the login is over. This says nothing about the source, unless it has
	// had all its time.
	case ctx.Err() != nil && (err == nil || time.Now().Before(full)):
		o = gone
		return answer{}, context.Cause(ctx)
	case err != nil:
		return answer{}, m.failed(l, err)
	}
	o = success
	m.counts.add(got.result)
	return got, nil
}

// leave records the outcome of a call, with its error, and logs if the source is taken to be down from now on, or answers again.
func (c *Chain) leave(m *member, probe bool, o outcome, err error) {
	wait := m.breaker.leave(probe, o)
	switch {
	case wait == 0:
	case o == success:
		c.log.Info("a source of logins answers again", "source", m.name)
	case !probe:
		c.log.Error("a source of logins is down: logins that it would decide are refused for now", "source", m.name, "failures", breakAfter, "seconds", wait.Seconds(), "err", err)
	}
}

// admitted refuses what the Server would refuse, so that this takes as long as other refusals. Otherwise the time would confirm
// the password.
func admitted(account *server.Account, l server.Login) (*server.Account, error) {
	if err := account.Admits(l); err != nil {
		return nil, err
	}
	return account, nil
}

// admit returns the account of a user for whom a source has answered ok.
func (c *Chain) admit(m *member, l server.Login, keys map[string]any) (*server.Account, error) {
	account, err := c.config.Account(l.User, keys)
	if err != nil {
		return nil, m.failed(l, fmt.Errorf("the account in its answer: %w", err))
	}
	return admitted(account, l)
}

// failed counts a failure and returns the error of the login, without the password.
func (m *member) failed(l server.Login, err error) error {
	m.counts.add(failed)
	return fmt.Errorf("%w: %s: %s", server.ErrAuthUnavailable, m.name, callout.Clean(scrub(err.Error(), l.Password)))
}

// skipped is failed for a source that was not asked.
func (m *member) skipped() error {
	m.counts.add(skipped)
	return fmt.Errorf("%w: %s is not asked now, because it has failed several times in a row", server.ErrAuthUnavailable, m.name)
}
