package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"miniftp/cmd/miniftp/internal/acmecert"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/web"
	"miniftp/ftp"
)

// maxACME is the maximum number of hosts of --tls-acme. They are served one after the other, and authorities limit them.
const maxACME = 100

var errMistake = errors.New("a setting is wrong, as is recorded")

// acme returns the hosts of --tls-acme, and the authority. Mistakes are added to cf.Problems, once.
func (cf *config) acme() (hosts []string, authority acmecert.Config, err error) {
	before := len(cf.Problems)
	for _, name := range cf.Names(&cf.TLSACME) {
		host := strings.TrimSuffix(strings.ToLower(name), ".")
		if problem := noHost(host); problem != "" {
			cf.Wrong(&cf.TLSACME, "%q: %s", name, problem)
			break
		}
		if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 && len(cf.Problems) == before {
		for _, field := range []*string{&cf.TLSACMEEmail, &cf.TLSACMEDir, &cf.TLSACMECA, &cf.TLSACMEHTTP, &cf.TLSACMEALPN} {
			if by := cf.By(field); by == settings.ByFlag || by == settings.ByFile {
				cf.Wrong(field, "has no effect without %s", cf.Label(&cf.TLSACME))
			}
		}
		return nil, authority, nil
	}
	if len(hosts) > maxACME {
		cf.Wrong(&cf.TLSACME, "has %d hosts: at most %d are possible", len(hosts), maxACME)
	}
	if cf.noACME {
		cf.Wrong(&cf.TLSACME, "needs a restart: this server was started without it, and so does not listen for the authority")
	}
	if u, err := url.Parse(cf.TLSACMEDir); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		cf.Wrong(&cf.TLSACMEDir, "%q: must be a URL that begins with https://", ftp.MaskURL(cf.TLSACMEDir))
	}
	if cf.TLSACMEEmail != "" && (strings.ContainsAny(cf.TLSACMEEmail, " \r\n\t,<>?") || !strings.Contains(cf.TLSACMEEmail, "@")) {
		cf.Wrong(&cf.TLSACMEEmail, "%q: not an address such as admin@example.org", cf.TLSACMEEmail)
	}
	for _, field := range []*string{&cf.TLSACMEHTTP, &cf.TLSACMEALPN} {
		if *field != settings.ACMEOff && !isAddress(*field) {
			cf.Wrong(field, "%q: not an address to listen on: write :80, 127.0.0.1:8080 or off", *field)
		}
	}
	authority = acmecert.Config{Directory: cf.TLSACMEDir, Email: cf.TLSACMEEmail}
	if cf.TLSACMECA != "" {
		authority.Authorities, err = local.Authorities(cf.TLSACMECA)
		cf.Blame(&cf.TLSACMECA, err)
	}
	dir, err := local.StateDir()
	if err != nil {
		err = fmt.Errorf("no directory to keep the keys of --tls-acme in: %w (set XDG_STATE_HOME)", err)
	}
	authority.Dir = filepath.Join(dir, "acme")
	if err == nil && cf.trial {
		err = local.MayCreate(authority.Files(hosts)[0])
	}
	cf.Blame(&cf.TLSACME, err)
	if len(cf.Problems) > before {
		return nil, authority, errMistake
	}
	cf.acmeFiles = authority.Files(hosts)
	return hosts, authority, nil
}

// noHost returns why an authority can't issue a certificate for a name, or "" if it may.
func noHost(name string) string {
	_, err := netip.ParseAddr(name)
	switch {
	case err == nil:
		return "is an address: name the host by which clients connect"
	case strings.HasPrefix(name, "*."):
		return "a wildcard can't be had this way: name each host"
	case len(name) > 253 || strings.Contains(name, "_") || !hostName.MatchString(name):
		return "is not the name of a host, such as ftp.example.org (write other letters than those of ASCII as xn--…)"
	}
	return ""
}

// The names of the sockets of systemd for challenges of an authority (FileDescriptorName=).
const (
	httpSocket = "acme-http"
	alpnSocket = "acme-alpn"
)

// challenges holds the listeners for the authority, which answer nothing else.
type challenges struct {
	http, alpn []net.Listener
	sites      []*web.Site
	work       sync.WaitGroup
	stop       context.CancelFunc // ends what serve began
}

// openChallenges listens for the authority, or takes over the sockets of systemd. Nothing is answered before serve. The
// caller must close them, also after an error.
func (s *serving) openChallenges(hosts []string) error {
	c, cf := &s.challenges, s.cf
	passed := len(c.http)+len(c.alpn) > 0
	if len(hosts) == 0 {
		if passed {
			return verb.Usagef("a socket of systemd has FileDescriptorName=%s or %s, which is for --tls-acme, but that is not set", httpSocket, alpnSocket)
		}
		return nil
	}
	for _, one := range []struct {
		field *string
		ls    *[]net.Listener
	}{{&cf.TLSACMEHTTP, &c.http}, {&cf.TLSACMEALPN, &c.alpn}} {
		switch addr := *one.field; {
		case len(*one.ls) > 0:
			if have := addressesOf(*one.ls); cf.Given(one.field) && !slices.Equal(normal([]string{addr}), normal(have)) {
				return cf.Located(one.field, verb.Usagef("%s %s differs from what systemd listens on (%s): remove it, or change ListenStream= in the socket unit",
					cf.Word(one.field), addr, strings.Join(have, ", ")))
			}
		case addr == settings.ACMEOff, passed && !cf.Given(one.field):
		default:
			l, err := web.Open(addr)
			if err != nil {
				return cf.Located(one.field, &listenProblem{cf.Word(one.field), addr, err})
			}
			*one.ls = append(*one.ls, l)
		}
	}
	if len(c.http)+len(c.alpn) == 0 {
		return verb.Usagef("%s needs --tls-acme-http or --tls-acme-alpn, over which the authority checks that the hosts are this one", cf.Label(&cf.TLSACME))
	}
	return nil
}

// listenProblem is the error of a listener for the authority.
type listenProblem struct {
	setting, addr string
	err           error
}

func (e *listenProblem) Error() string {
	return e.setting + ": can't listen on " + ftp.Printable(e.addr) + " for the authority of --tls-acme: " + e.err.Error()
}

func (e *listenProblem) Unwrap() error { return e.err }

// serve answers the authority. It must be called before Run of s.acme.
func (c *challenges) serve(s *serving) {
	if s.acme == nil {
		return
	}
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.WithoutCancel(s.c.Context))
	s.acme.HTTP, s.acme.ALPN = len(c.http) > 0, len(c.alpn) > 0
	for _, l := range c.http {
		site := web.On(l, s.logs.log)
		site.Handle(acmecert.ChallengePath+"{token}", s.acme)
		site.Serve()
		c.sites = append(c.sites, site)
	}
	for _, l := range c.alpn {
		c.work.Go(func() { s.acme.ServeALPN(ctx, l) })
	}
}

// close closes the listeners, and returns when nothing is answered any more.
func (c *challenges) close() {
	if c.stop != nil {
		c.stop()
	}
	for _, l := range slices.Concat(c.http, c.alpn) {
		_ = l.Close()
	}
	for _, site := range c.sites {
		site.Close()
	}
	c.work.Wait()
}

// rows returns the lines for the banner.
func (c *challenges) rows() (rows [][2]string) {
	for _, one := range []struct {
		scheme string
		ls     []net.Listener
	}{{"http", c.http}, {"https", c.alpn}} {
		for _, l := range one.ls {
			base, _, reach := addrURL(l.Addr(), one.scheme)
			rows = append(rows, [2]string{"  " + base, "checks by the authority of the certificates, for " + reach})
		}
	}
	return rows
}
