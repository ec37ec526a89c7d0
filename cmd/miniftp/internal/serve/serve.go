// Package serve implements the verbs serve and config. It makes a server from its settings, with
// roots, certificates and logs, and reloads them on SIGHUP.
//
// Package settings reads the settings; options.go and tls.go translate them to server.Options.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/acmecert"
	"miniftp/cmd/miniftp/internal/authn"
	"miniftp/cmd/miniftp/internal/console"
	"miniftp/cmd/miniftp/internal/control"
	"miniftp/cmd/miniftp/internal/metrics"
	"miniftp/cmd/miniftp/internal/outbox"
	"miniftp/cmd/miniftp/internal/resident"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/storage"
	"miniftp/cmd/miniftp/internal/systemd"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp/server"
)

// Command returns the verb serve.
func Command(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "serve", Usage: "serve a directory", ArgsUsage: "[ROOT]",
		Flags: settings.Flags(),
		Description: flags.Examples("Serves ROOT: a directory (default: the current one), s3://BUCKET/PATH (a bucket of S3 or a compatible service), zip:FILE or tar:FILE (an archive, read-only), mem:// (files in memory) or the tree of another server (ftp://USER@HOST/PATH, ftpes://, ftps://). Without flags, only this machine can connect, anyone can log in, and nothing can be changed.",
			"miniftp serve",
			"miniftp serve --listen :2121 --user alice:secret docs",
			"miniftp serve --tls required --tls-self-signed --user alice:secret",
			"miniftp serve --user cam:secret:drop --passive-ports 40000-40100 mem://"),
		Action: func(c *cli.Context) error { return runServe(e, c) },
	}
}

// serving is a running server, and what it was made of.
type serving struct {
	e           *verb.Env
	c           *cli.Context
	cf          *config
	roots       *roots
	logs        *serverLogs
	srv         *server.Server
	implicitTLS bool                           // a listener is for implicit TLS
	proxied     atomic.Pointer[[]netip.Prefix] // --proxy-protocol
	managed     managed
	metrics     *metrics.Metrics            // nil: off
	console     *console.Console            // nil: off
	hooks       *outbox.Outbox              // nil: no receivers
	auth        atomic.Pointer[authn.Chain] // nil: only the users of the configuration may log in
	name        string                      // see control.NodeName
	certs       atomic.Pointer[certificates]
	acme        *acmecert.Manager // nil: started without --tls-acme
	challenges  challenges
	expiry      *expiry
	ready       atomic.Bool // sessions are admitted, unless the server drains
	draining    atomic.Bool
	service     *systemd.Service
	accepting   []*acceptor  // the listeners, if the watchdog or sockets of systemd need them to be observed
	reloading   atomic.Int64 // the time when the running reload began, 0 if none runs
}

func runServe(e *verb.Env, c *cli.Context) error {
	s := &serving{e: e, c: c, cf: &config{Config: settings.New(c)}, roots: newRoots(c.Context), managed: newManaged(), expiry: newExpiry()}
	defer s.roots.end()
	s.cf.prepareUser()
	opts, certs := s.cf.prepare(s.roots)
	if err := s.cf.Report(e); err != nil {
		return err
	}
	e.Quiet = s.cf.Quiet
	var err error
	if s.logs, err = openLogs(e, s.cf); err != nil {
		return err
	}
	defer s.logs.close()
	for _, w := range s.cf.Warnings {
		s.warn(w)
	}
	s.beginParts(&opts, certs)
	defer s.closeParts()
	plain, tlsFirst, err := s.listen(&opts)
	if err != nil {
		return err
	}
	s.implicitTLS = len(opts.ListenTLS) > 0
	s.proxied.Store(&opts.ProxyProtocol)
	listeners := slices.Concat(plain, tlsFirst)
	s.name = control.NodeName(listeners[0].Addr())
	pages, err := s.openRest(certs)
	defer pages.close()
	unmanage := func() {}
	if err == nil {
		unmanage, err = s.manage(plain, tlsFirst)
	}
	if err != nil {
		for _, l := range listeners {
			_ = l.Close()
		}
		return err
	}
	defer unmanage()
	s.showCertificates(certs, s.warn)
	s.challenges.serve(s)
	hup, closed, stop := s.hangups() // before the banner, after which a script may send SIGHUP
	defer stop()
	s.show(listeners, pages, s.cf.tlsWords(opts, certs))
	s.roots.keepSwept(s.srv, s.cf)
	return s.logged(listeners, func() error { return s.serveAll(hup, closed, plain, tlsFirst) })
}

// show prints the banner.
func (s *serving) show(listeners []net.Listener, pages sites, tls tlsBanner) {
	if s.e.Quiet {
		return
	}
	width := 0
	if term.IsTerminal(s.e.Err) {
		width = min(term.Width(s.e.Err), flags.HelpWidth)
	}
	fmt.Fprint(s.e.Err, s.cf.banner(s.roots, listeners, slices.Concat(pages.rows(), s.challenges.rows()), tls, width))
}

// beginParts makes what the server needs besides its listeners. The caller must call closeParts.
func (s *serving) beginParts(opts *server.Options, certs *certificates) {
	s.openService()
	s.followEvents()
	s.beginACME(certs)
	s.logs.use(opts)
	s.connectAuth(opts.Auth)
	s.useAuth(opts.Auth)
	s.beginHooks(opts)
}

// closeParts ends what beginParts has made, after the server.
func (s *serving) closeParts() {
	s.challenges.close()
	s.hooks.Close()
	s.auth.Load().Close()
	s.console.Close()
}

// openRest opens the listeners that are not for FTP, becomes the user of --run-as, and then opens the outbox. The caller must
// close pages, also after an error.
func (s *serving) openRest(certs *certificates) (pages sites, err error) {
	if pages, err = s.openSites(); err != nil {
		return nil, err
	}
	if err = s.openChallenges(certs.named()); err != nil {
		return pages, err
	}
	if err = s.drop(); err != nil {
		return pages, err
	}
	return pages, s.openHooks()
}

// listen makes the server and its listeners, or takes those over that systemd passes.
func (s *serving) listen(opts *server.Options) (plain, tlsFirst []net.Listener, err error) {
	sockets, err := s.cf.adopt(opts)
	if err != nil {
		return nil, nil, err
	}
	plain, tlsFirst = sockets.plain, sockets.tlsFirst
	s.challenges.http, s.challenges.alpn = sockets.http, sockets.alpn
	if s.srv, err = server.New(*opts); err != nil {
		return nil, nil, verb.Usagef("%s", strings.TrimPrefix(err.Error(), "server: "))
	}
	adopted := len(plain)+len(tlsFirst) > 0
	if !adopted {
		if plain, tlsFirst, err = s.srv.ListenAll(s.c.Context); err != nil {
			return nil, nil, err
		}
	}
	if adopted || s.service.Watched() {
		plain, tlsFirst = s.observed(plain), s.observed(tlsFirst)
	}
	return plain, tlsFirst, nil
}

// warn reports a warning about the configuration: on the terminal if the log is written for people, else
// in the log.
func (s *serving) warn(text string) {
	if s.e.Quiet || s.cf.logFormat(s.e.Err) != "console" {
		s.logs.log.Warn(text)
		return
	}
	s.e.Note("%s", text)
}

// logged calls serve, and logs the start and the stop of the server.
func (s *serving) logged(ls []net.Listener, serve func() error) error {
	addrs := make([]string, len(ls))
	for i, l := range ls {
		addrs[i] = l.Addr().String()
	}
	start := time.Now()
	s.logs.log.Info("started", "version", s.c.App.Version, "pid", os.Getpid(), "root", s.cf.served(), "listen", strings.Join(addrs, " "), "users", len(s.cf.Users))
	debug.FreeOSMemory() // the garbage of the start
	resident.Release()
	err := serve()
	if s.cf.logFormat(s.e.Err) == "console" {
		_, _ = io.WriteString(s.logs.queue.to(s.e.Err), "\n") // after the ^C
	}
	s.logs.events.end()
	why := "signal"
	select {
	case <-s.managed.drained:
		why = "drained"
	default:
	}
	if err != nil && !errors.Is(err, verb.ErrStopped) {
		why = clean(err.Error())
	}
	s.logs.log.Info("stopped", "seconds", seconds(time.Since(start)), "why", why)
	return err
}

// rootProblem classifies an error from opening a root, for the exit code: it is about the directory or archive, about
// another server or service, or about how the root is written.
func rootProblem(root string, err error) error {
	var path *fs.PathError
	if !errors.As(err, new(*storage.Error)) && errors.As(err, &path) {
		return verb.LocalProblem(root, err)
	}
	if verb.ExitCode(err) != verb.ExitFailure {
		return err // from the server of a remote root, or the service of a bucket
	}
	return verb.Usagef("%v", err)
}

// serveAll serves until a signal arrives or the server has drained.
func (s *serving) serveAll(hup, closed hangupSignals, plain, tlsFirst []net.Listener) error {
	failed := make(chan error, len(plain)+len(tlsFirst))
	for _, l := range plain {
		go func() { failed <- s.srv.Serve(l) }()
	}
	for _, l := range tlsFirst {
		go func() { failed <- s.srv.ServeTLS(l) }()
	}
	s.ready.Store(true)
	changed := s.watchStored()
	s.service.Ready(s.status())
	defer s.watchAll()()
	var status <-chan time.Time
	if s.service.Present() {
		tick := time.NewTicker(statusEvery)
		defer tick.Stop()
		status = tick.C
	}
	for done := false; !done; {
		select {
		case err := <-failed:
			if s.ends(err) {
				s.ready.Store(false)
				close(s.managed.ended)
				_ = s.srv.Close()
				return err
			}
		case <-hup:
			s.reload()
		case <-changed:
			s.reload()
		case answer := <-s.managed.reloads:
			answer <- s.reload()
		case answer := <-s.managed.checks:
			answer <- s.check()
		case <-status:
			s.service.Status(s.status())
		case <-s.managed.drains:
			s.drain()
		case <-s.managed.drained:
			done = true
		case <-closed:
			done = true
		case <-s.c.Context.Done():
			done = true
		}
	}
	return s.shutDown()
}

// shutDown lets transfers finish within the grace period, after the loop of serveAll.
func (s *serving) shutDown() error {
	s.ready.Store(false)
	close(s.managed.ended)
	grace := s.cf.Grace
	s.stopping(grace)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.c.Context), grace)
	defer cancel()
	wait := time.AfterFunc(200*time.Millisecond, func() {
		s.e.Note("stopping: waiting up to %v for transfers to finish; Ctrl-C again stops at once", grace)
	})
	defer wait.Stop()
	if s.srv.Shutdown(ctx) != nil {
		s.roots.cut() // so that a remote root that does not answer does not delay the end of a session
		_ = s.srv.Close()
	}
	return verb.ErrStopped
}
