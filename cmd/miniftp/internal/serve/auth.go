package serve

import (
	"miniftp/cmd/miniftp/internal/authn"
	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/cmd/miniftp/internal/metrics"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// authenticator returns what decides who may log in. Without other sources than file it is a server.Static, else an
// authn.Chain. Mistakes are added to cf.Problems.
func (cf *config) authenticator(roots *roots) server.Authenticator {
	failed := map[string]bool{} // storages of mounts, which many users may have
	users := cf.static(roots, failed)
	if !cf.AsksOthers() {
		for _, field := range []any{&cf.AuthTimeout, &cf.AuthCache, &cf.AuthSecretFile} {
			if cf.Given(field) {
				cf.Wrong(field, "has no effect: %s names no program and no web service", cf.Word(&cf.Auth))
			}
		}
		return users
	}
	cf.checkAuthTimeout()
	chain, err := authn.New(authn.Config{
		Sources: cf.Sources(), Timeout: cf.AuthTimeout, Cache: cf.AuthCache, Secret: cf.secret(&cf.AuthSecretFile), Users: users,
		Account: func(user string, keys map[string]any) (*server.Account, error) {
			return cf.externalUser(roots, user, keys)
		},
	})
	switch {
	case err != nil:
		cf.Wrong(&cf.Auth, "%v", err)
		return users
	case chain.HasWeb() && cf.AuthSecretFile == "":
		cf.Wrong(&cf.Auth, "a web service needs a secret, with which requests are signed: name a file that holds one with --auth-secret-file")
	case !chain.HasWeb() && cf.AuthSecretFile != "":
		cf.Wrong(&cf.AuthSecretFile, "has no effect: %s has no web service", cf.Label(&cf.Auth))
	}
	for _, a := range cf.ExternalUsers("") {
		for _, t := range cf.Trees(a) {
			cf.tryTree(roots, roots.of(t), t, failed)
		}
	}
	return chain
}

// checkAuthTimeout records a mistake if logins would end before their source is late: one that hangs would never count as down, and
// each login would wait for it.
func (cf *config) checkAuthTimeout() {
	auth, login := flags.DurationText(cf.AuthTimeout), flags.DurationText(cf.LoginTimeout)
	switch {
	case cf.AuthTimeout < cf.LoginTimeout:
	case cf.Given(&cf.AuthTimeout):
		cf.Wrong(&cf.AuthTimeout, "%s: must be less than %s, which is %s: else logins end before a source that hangs counts as down", auth, cf.Word(&cf.LoginTimeout), login)
	default:
		cf.Wrong(&cf.LoginTimeout, "%s: must be more than %s, which is %s: else logins end before a source that hangs counts as down", login, cf.Word(&cf.AuthTimeout), auth)
	}
}

// externalUser returns the account of a user whom a source has accepted, with those keys.
func (cf *config) externalUser(roots *roots, user string, keys map[string]any) (*server.Account, error) {
	a, err := cf.Accepted(user, keys)
	if err != nil {
		return nil, err
	}
	if err := a.WhyRootless(); err != nil {
		account := rootless(err)
		return &account, nil
	}
	account := cf.account(a, roots.forLogin)
	return &account, nil
}

// sourceNames returns the names of the sources of --auth that are not file, without what may be a secret.
func (cf *config) sourceNames() (names []string) {
	for _, s := range cf.Sources() {
		if s == settings.FileSource {
			continue
		}
		if u, err := callout.ParseURL(s); err == nil {
			s = u.Scheme + "://" + u.Host
		}
		names = append(names, ftp.Printable(s))
	}
	return names
}

// connectAuth connects users, if it is a Chain, with the log and with the counts of the Chain that decides now.
func (s *serving) connectAuth(users server.Authenticator) {
	if next, ok := users.(*authn.Chain); ok {
		next.Continue(s.auth.Load(), s.logs.log)
	}
}

// useAuth makes users, which the server asks from now on, those of the metrics.
func (s *serving) useAuth(users server.Authenticator) {
	next, _ := users.(*authn.Chain) // nil: a Static
	s.auth.Swap(next).Close()
}

// measuredAuth returns the numbers of the sources of logins, for the metrics.
func (s *serving) measuredAuth() (all []metrics.LoginSource) {
	for _, one := range s.auth.Load().Stats() {
		all = append(all, metrics.LoginSource{Name: one.Source, Up: !one.Broken, Answers: one.Counts})
	}
	return all
}
