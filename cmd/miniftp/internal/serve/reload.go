package serve

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/ftp/server"
)

type hangupSignals = <-chan os.Signal

// prepare returns the options of the server, with the roots opened and the certificates loaded.
// Mistakes are added to cf.Problems.
func (cf *config) prepare(roots *roots) (server.Options, *certificates) {
	if cf.Unreadable() {
		return server.Options{}, nil
	}
	o := cf.options()
	cf.nesting = cf.nestingOf(settings.Tree.Writes)
	if len(cf.Problems) == 0 { // else users may be missing, and a reload keeps the current ones
		roots.nest(cf.nesting)
	}
	served := cf.servedTrees()
	cf.gate(&o, served)
	cf.checkGated()
	o.Auth = cf.authenticator(roots)
	if cf.SharedState != "" {
		state, err := roots.openState(cf.SharedState)
		cf.Blame(&cf.SharedState, err)
		o.State = state
	}
	certs := cf.serveTLS(&o)
	cf.checkHooks()
	cf.exposed(served)
	cf.checkDuplicates(o)
	if cf.trial {
		for _, file := range []*string{&cf.LogFile, &cf.Xferlog} {
			if *file != "" {
				cf.Blame(file, local.MayAppend(*file))
			}
		}
	}
	return o, certs
}

// hangups returns a channel of SIGHUPs. It is reload if there is a file to read or open again, or if systemd manages
// the server: there SIGHUP means to reload (Type=notify-reload). Otherwise it
// is closed: SIGHUP then means that the terminal of the server was closed, so the server must stop. The other
// channel is nil. Calling stop ends the notification.
func (s *serving) hangups() (reload, closed hangupSignals, stop func()) {
	cf := s.cf
	files := s.service.Present() || cf.Path != "" || cf.Given(&cf.UsersFile) || cf.Given(&cf.Auth) || cf.Given(&cf.TLSCert) || cf.Given(&cf.LogFile) || cf.Given(&cf.Xferlog) || strings.Contains(cf.PassivePorts, "=@")
	if !files && signal.Ignored(syscall.SIGHUP) { // nohup ignores it
		return nil, nil, func() {}
	}
	signals, stop := hangups()
	if files {
		return signals, nil, stop
	}
	return nil, signals, stop
}

// useParts makes the parts that a reload keeps work as cf says.
func (s *serving) useParts(cf *config, users server.Authenticator) {
	s.useHooks(cf)
	s.useAuth(users)
}

// reread reads the settings and their files again, for new sessions. If there is a mistake, nothing
// changes. The result is for miniftp reload.
func (s *serving) reread() control.Reloaded {
	result := control.Reloaded{Mistakes: []string{}, Warnings: []string{}, Restart: []string{}}
	cf := &config{Config: settings.New(s.c), noACME: s.acme == nil}
	opts, certs := cf.prepare(s.roots)
	if s.implicitTLS && opts.TLS == nil && len(cf.Problems) == 0 {
		cf.Wrong(&cf.TLS, "off: this server listens for implicit TLS, which only a restart can change")
	}
	var files logFiles
	if len(cf.Problems) == 0 {
		var err error
		files, err = cf.openLogFiles()
		cf.Problem(err)
	}
	if len(cf.Problems) == 0 {
		s.useCertificates(certs)
		s.logs.use(&opts)
		s.connectAuth(opts.Auth)
		if s.hooks != nil {
			opts.Journal = s.hooks
		}
		cf.Problem(s.srv.Reload(opts))
	}
	if len(cf.Problems) > 0 {
		s.roots.nest(s.cf.nesting)
		files.close()
		for _, err := range cf.Sorted() {
			text := strings.TrimPrefix(err.Error(), "server: ")
			result.Mistakes = append(result.Mistakes, text)
			s.logs.log.Error("not reloaded; nothing has changed", "err", text)
		}
		return result
	}
	s.logs.apply(cf, files) // from here on nothing can fail
	for _, w := range cf.Warnings {
		s.logs.log.Warn(w)
	}
	changed := cf.KeepUntilRestart(s.cf.Config) // so that the next reload reports them again
	if (s.cf.TLS == "implicit") != (cf.TLS == "implicit") {
		changed = append(changed, cf.Key(&cf.TLS))
	}
	for _, key := range changed {
		s.logs.log.Warn("changing this setting needs a restart", "setting", key)
	}
	s.cf = cf
	s.useParts(cf, opts.Auth)
	s.expiry.forget()
	s.showCertificates(certs, func(text string) {
		s.logs.log.Warn(text)
		result.Warnings = append(result.Warnings, text)
	})
	s.proxied.Store(&opts.ProxyProtocol)
	s.roots.retire(cf)
	s.roots.keepSwept(s.srv, cf)
	s.logs.log.Info("reloaded; new sessions use the new settings", "users", len(cf.Users))
	result.Warnings = append(result.Warnings, cf.Warnings...)
	result.Restart = append(result.Restart, changed...)
	result.Users = len(cf.Users)
	return result
}
