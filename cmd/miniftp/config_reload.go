package main

import (
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"

	"miniftp/ftp/server"
)

type hangupSignals = <-chan os.Signal

// prepare is what a configuration comes to: the server's options, with the roots
// opened and the certificates loaded. What is wrong goes to cf.problems.
func (cf *config) prepare(roots *roots) (server.Options, *certificates) {
	if len(cf.problems) > 0 && cf.file == nil {
		return server.Options{}, nil // a file that can't be read: nothing is known
	}
	o := cf.options()
	cf.nesting = cf.nestingOf(func(a *account) bool { return a.writes() })
	roots.nest(cf.nesting)
	o.Auth = cf.static(roots)
	certs := cf.serveTLS(&o)
	cf.exposed(certs)
	cf.sameTwice(o)
	if cf.trial {
		for _, name := range []string{"log-file", "xferlog"} {
			if file := cf.str(name); file != "" {
				cf.blame(name, mayAppend(file))
			}
		}
	}
	return o, certs
}

// hangups returns the signals to reload, if there is any file to read or open again; else
// closed, the signals that end the server, as its terminal was closed. stop ends both.
func (s *serving) hangups() (reload, closed hangupSignals, stop func()) {
	files := s.cf.file != nil
	for _, name := range []string{"users-file", "tls-cert", "log-file", "xferlog"} {
		files = files || s.cf.given(name)
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
	cf := newConfig(s.c, s.c.String("config"))
	opts, certs := cf.prepare(s.roots)
	if s.tls && opts.TLS == nil && len(cf.problems) == 0 {
		cf.wrong("tls", "off: this server listens for clients that begin with TLS; restart it")
	}
	var files logFiles
	if len(cf.problems) == 0 {
		var err error
		files, err = openLogFiles(cf)
		cf.problem(err)
	}
	if len(cf.problems) == 0 {
		s.logs.use(&opts, certs)
		cf.problem(s.srv.Reload(opts))
	}
	if len(cf.problems) > 0 {
		s.roots.nest(s.cf.nesting)
		files.close()
		for _, err := range cf.sorted() {
			s.logs.log.Error("not reloaded, all stays as it was", "err", strings.TrimPrefix(err.Error(), "server: "))
		}
		return
	}
	s.logs.take(cf, files) // nothing can fail any more
	for _, w := range cf.warnings {
		s.logs.log.Warn(w)
	}
	for _, name := range restartOnly {
		if old := s.cf.values[name]; !reflect.DeepEqual(old.is, cf.values[name].is) {
			s.logs.log.Warn("only a restart changes this", "setting", old.key)
			v := cf.values[name]
			v.is = old.is
			cf.values[name] = v // what it is, and to be said again the next time
		}
	}
	if (s.cf.str("tls") == "implicit") != (cf.str("tls") == "implicit") {
		s.logs.log.Warn("only a restart changes this", "setting", cf.values["tls"].key)
	}
	s.cf = cf
	s.roots.retire(cf)
	s.roots.keepSwept(s.srv, cf)
	s.logs.log.Info("reloaded; it holds for sessions from now on", "users", len(cf.users))
}
