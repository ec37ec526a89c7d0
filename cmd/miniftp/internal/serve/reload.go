package serve

import (
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/ftp/server"
)

type hangupSignals = <-chan os.Signal

// prepare is what a configuration comes to: the server's options, with the roots
// opened and the certificates loaded. What is wrong goes to cf.problems.
func prepare(cf *settings.Config, roots *roots) (server.Options, *certificates) {
	if len(cf.Problems) > 0 && cf.File == nil {
		return server.Options{}, nil // a file that can't be read: nothing is known
	}
	o := options(cf)
	cf.Nesting = nestingOf(cf, func(a *settings.Account) bool { return a.Writes() })
	roots.nest(cf.Nesting)
	o.Auth = static(cf, roots)
	certs := serveTLS(cf, &o)
	exposed(cf, certs)
	sameTwice(cf, o)
	if cf.Trial {
		for _, name := range []string{"log-file", "xferlog"} {
			if file := cf.Str(name); file != "" {
				cf.Blame(name, local.MayAppend(file))
			}
		}
	}
	return o, certs
}

// hangups returns the signals to reload, if there is any file to read or open again; else
// closed, the signals that end the server, as its terminal was closed. stop ends both.
func (s *serving) hangups() (reload, closed hangupSignals, stop func()) {
	files := s.cf.File != nil
	for _, name := range []string{"users-file", "tls-cert", "log-file", "xferlog"} {
		files = files || s.cf.Given(name)
	}
	if !files && signal.Ignored(syscall.SIGHUP) { // by nohup
		return nil, nil, func() {}
	}
	signals, stop := hangups()
	if files {
		return signals, nil, stop
	}
	return nil, signals, stop
}

// reload reads everything again. Sessions that run keep what they have; a mistake in a
// file changes nothing.
func (s *serving) reload() {
	cf := settings.New(s.c, s.c.String("config"))
	opts, certs := prepare(cf, s.roots)
	if s.tls && opts.TLS == nil && len(cf.Problems) == 0 {
		cf.Wrong("tls", "off: this server listens for clients that begin with TLS; restart it")
	}
	var files logFiles
	if len(cf.Problems) == 0 {
		var err error
		files, err = openLogFiles(cf)
		cf.Problem(err)
	}
	if len(cf.Problems) == 0 {
		s.logs.use(&opts, certs)
		cf.Problem(s.srv.Reload(opts))
	}
	if len(cf.Problems) > 0 {
		s.roots.nest(s.cf.Nesting)
		files.close()
		for _, err := range cf.Sorted() {
			s.logs.log.Error("not reloaded, all stays as it was", "err", strings.TrimPrefix(err.Error(), "server: "))
		}
		return
	}
	s.logs.take(cf, files) // nothing can fail any more
	for _, w := range cf.Warnings {
		s.logs.log.Warn(w)
	}
	for _, name := range settings.RestartOnly {
		if old := s.cf.Values[name]; !reflect.DeepEqual(old.Is, cf.Values[name].Is) {
			s.logs.log.Warn("only a restart changes this", "setting", old.Key)
			v := cf.Values[name]
			v.Is = old.Is
			cf.Values[name] = v // what it is, and to be said again the next time
		}
	}
	if (s.cf.Str("tls") == "implicit") != (cf.Str("tls") == "implicit") {
		s.logs.log.Warn("only a restart changes this", "setting", cf.Values["tls"].Key)
	}
	s.cf = cf
	s.roots.retire(cf)
	s.roots.keepSwept(s.srv, cf)
	s.logs.log.Info("reloaded; it holds for sessions from now on", "users", len(cf.Users))
}
