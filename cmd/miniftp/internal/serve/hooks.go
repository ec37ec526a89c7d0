package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/metrics"
	"miniftp/cmd/miniftp/internal/outbox"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// minOutbox is the least that --hook-outbox-size may be.
const minOutbox = 1_000_000

// receivers returns the receivers of --hook. Mistakes are added to cf.Problems.
func (cf *config) receivers() (all []outbox.Receiver) {
	seen := map[string]bool{}
	for _, text := range cf.Hook {
		r, err := outbox.ParseReceiver(text)
		switch {
		case err != nil:
			cf.Wrong(&cf.Hook, "%v", err) // the text may hold a secret
		case seen[text]:
			cf.Wrong(&cf.Hook, "%s: named twice", r.Name)
		default:
			all = append(all, r)
		}
		seen[text] = true
	}
	if len(cf.Hook) > outbox.MaxReceivers {
		cf.Wrong(&cf.Hook, "%d receivers: at most %d are possible", len(cf.Hook), outbox.MaxReceivers)
	}
	return all
}

// checkHooks records mistakes in the settings of hooks.
func (cf *config) checkHooks() {
	signed := false
	for _, r := range cf.receivers() {
		if r.Program == "" {
			signed = true
		} else if fi, err := os.Stat(r.Program); err != nil || !fi.Mode().IsRegular() {
			cf.Warn("%s: %s is not a program here: its events are kept until it is", cf.Label(&cf.Hook), r.Name)
		}
	}
	switch {
	case signed && cf.HookSecretFile == "":
		cf.Wrong(&cf.Hook, "a web service needs a secret, with which requests are signed: name a file that holds one with --hook-secret-file")
	case cf.HookSecretFile != "":
		cf.secret(&cf.HookSecretFile) // it is read again for each delivery
	}
	if n, err := flags.ParseSize(cf.HookOutboxSize, 1000); err != nil || n < minOutbox {
		cf.Wrong(&cf.HookOutboxSize, "%q: must be a size of at least 1M, such as 100M", cf.HookOutboxSize)
	}
	if len(cf.Hook) > 0 {
		dir, err := cf.outboxDir()
		if err == nil && cf.trial {
			err = local.MayCreate(filepath.Join(dir, "journal"))
		}
		cf.Blame(&cf.HookOutbox, err)
	}
}

// outboxDir returns the directory of the outbox.
func (cf *config) outboxDir() (string, error) {
	if cf.HookOutbox != "" {
		return cf.HookOutbox, nil
	}
	dir, err := local.StateDir()
	if err != nil {
		return "", fmt.Errorf("no directory for the outbox: %w (set --hook-outbox)", err)
	}
	return filepath.Join(dir, "outbox"), nil
}

// beginHooks makes s.hooks, if there are receivers.
func (s *serving) beginHooks(opts *server.Options) {
	if len(s.cf.Hook) > 0 {
		s.hooks = outbox.New()
		opts.Journal = s.hooks
		s.useHooks(s.cf)
	}
}

// useHooks makes sessions record what cf says.
func (s *serving) useHooks(cf *config) {
	if s.hooks == nil {
		return
	}
	kinds := settings.Words(cf.HookEvents)
	if len(kinds) == 0 {
		kinds = []string{"upload"}
	}
	s.hooks.Use(kinds, cf.HookSecretFile)
}

// openHooks opens the outbox and begins to deliver, as the user of --run-as.
func (s *serving) openHooks() error {
	if s.hooks == nil {
		return nil
	}
	if s.cf.HookSecretFile != "" { // the user of --run-as must be able to read it
		if _, err := callout.ReadSecret(s.cf.HookSecretFile); err != nil {
			return s.cf.Located(&s.cf.HookSecretFile, err)
		}
	}
	dir, err := s.cf.outboxDir()
	if err != nil {
		return err
	}
	size, err := flags.ParseSize(s.cf.HookOutboxSize, 1000)
	if err != nil {
		return err
	}
	err = s.hooks.Open(s.c.Context, outbox.Config{
		Dir: dir, Size: size, Receivers: s.cf.receivers(), Server: s.name, Log: s.logs.log,
		Made: func(ctx context.Context, c server.Change, began time.Time) (bool, error) {
			return s.cf.madeBy(ctx, s.roots, c, began)
		},
	})
	return s.cf.Located(&s.cf.HookOutbox, err)
}

// madeBy reports whether a change by one of the users was made. It is not known which source accepted the user, and in which
// group, so all roots that the user can have are looked at. If the change is in none of them, but one can't be opened, that is an
// error.
func (cf *config) madeBy(ctx context.Context, roots *roots, c server.Change, began time.Time) (made bool, err error) {
	user := c.User
	if cf.User(user) == nil && (strings.EqualFold(user, "ftp") || strings.EqualFold(user, "anonymous")) {
		user = "anonymous"
	}
	a := cf.User(user)
	if a != nil {
		made, err = cf.madeIn(ctx, a, roots.of, c, began)
	}
	if made || a != nil && a.Anyone { // no source is asked about anonymous
		return made, err
	}
	others := cf.ExternalUsers(user)
	if a == nil && len(others) == 0 {
		return false, fmt.Errorf("there is no user %s", ftp.Printable(c.User))
	}
	for _, a := range others {
		made, err2 := cf.madeIn(ctx, a, roots.ofExternal, c, began)
		if made {
			return true, nil
		}
		if err == nil {
			err = err2
		}
	}
	return false, err
}

// madeIn reports whether a change was made in the files of a user, whose trees get returns. It makes no directory: where a directory
// of the user does not exist that a login would have made, there was no change.
func (cf *config) madeIn(ctx context.Context, a *settings.Account, get func(settings.Tree) *servedTree, c server.Change, began time.Time) (bool, error) {
	if err := a.WhyRootless(); err != nil {
		return false, err
	}
	for _, t := range cf.Trees(a) {
		if t.Mount != nil && !strings.HasPrefix(c.Path+"/", t.Mount.Path+"/") {
			continue
		}
		tree := get(t)
		_, lease, err := tree.acquire(ctx)
		if errors.Is(err, fs.ErrNotExist) && tree.made() {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		_ = lease.Close()
	}
	files, lease, err := cf.opener(a, get, (*servedTree).acquire)(ctx)
	if err != nil {
		return false, err
	}
	defer lease.Close()
	return c.Made(files, began)
}

// measuredHooks returns how far the deliveries are, for the metrics.
func (s *serving) measuredHooks() metrics.Hooks {
	if s.hooks == nil {
		return metrics.Hooks{}
	}
	st := s.hooks.Stats()
	return metrics.Hooks{Pending: st.Pending, Oldest: st.Oldest, Delivered: st.Delivered, Failed: st.Failed, Dead: st.Dead}
}
