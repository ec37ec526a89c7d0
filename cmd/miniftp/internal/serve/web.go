package serve

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"

	"miniftp/cmd/miniftp/internal/console"
	"miniftp/cmd/miniftp/internal/metrics"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/web"
	"miniftp/ftp"
)

// page is something that HTTP clients can get from a site.
type page struct {
	setting *string // the address; "": it is off
	path    string  // shown in the banner
	about   string  // what it is, in the banner
	// handle registers the handlers. It returns the query that the URL in the banner needs.
	handle func(site *web.Site) (query string, err error)
}

// pages returns all pages that settings can turn on.
func (s *serving) pages() []page {
	return []page{
		{&s.cf.Metrics, "/metrics", "metrics", s.handleMetrics},
		{&s.cf.Console, "/", "live page", s.handleConsole},
	}
}

// site is a web.Site and what it shows.
type site struct {
	*web.Site
	rows []siteRow
}

// siteRow is a page of a site, for the banner.
type siteRow struct{ path, about string }

// sites holds the HTTP servers by their address. Pages with the same address share one.
type sites map[string]*site

// openSites opens the HTTP servers. Until serveAll they answer /readyz with 503. The caller must close them.
func (s *serving) openSites() (sites, error) {
	all := sites{}
	for _, p := range s.pages() {
		if *p.setting == "" {
			continue
		}
		at := normalAddress(*p.setting)
		one := all[at]
		if one == nil {
			w, err := web.Listen(*p.setting, s.logs.log)
			if err != nil {
				all.close()
				return nil, s.cf.Located(p.setting, fmt.Errorf("%s: can't listen on %s: %w", s.cf.Word(p.setting), ftp.Printable(*p.setting), err))
			}
			one = &site{Site: w}
			all[at] = one
		}
		query, err := p.handle(one.Site)
		if err != nil {
			all.close()
			return nil, err
		}
		one.rows = append(one.rows, siteRow{p.path + query, p.about})
	}
	for _, one := range all {
		one.Serve()
	}
	return all, nil
}

// close closes the HTTP servers, the last thing that ends.
func (all sites) close() {
	for _, one := range all {
		one.Close()
	}
}

// rows returns the lines for the banner.
func (all sites) rows() (rows [][2]string) {
	for _, at := range slices.Sorted(maps.Keys(all)) {
		one := all[at]
		for _, p := range one.rows {
			base, _, reach := addrURL(one.Addr(), "http")
			rows = append(rows, [2]string{"  " + base + p.path[1:], p.about + ", for " + reach})
		}
	}
	return rows
}

// normalAddress returns an address to listen on in a form in which equal ones compare equal.
func normalAddress(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
		if ip == netip.IPv6Unspecified() {
			host = ""
		}
	}
	if n, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port); err == nil {
		port = strconv.Itoa(n)
	}
	return net.JoinHostPort(host, port)
}

// followEvents makes the metrics and the live page count the events that the log follows.
func (s *serving) followEvents() {
	list := s.logs.events.sessions
	if s.cf.Console != "" {
		s.console = console.New(settings.Deciding)
		s.logs.events.also = append(s.logs.events.also, func(e ftp.Event, _ *sessions.Session) { s.console.Follow(e) })
	}
	if s.cf.Metrics != "" {
		s.metrics = metrics.New(s.c.App.Version, settings.Deciding)
		s.logs.events.also = append(s.logs.events.also, func(e ftp.Event, one *sessions.Session) { s.metrics.Follow(list, e, one) })
	}
}

// handleMetrics registers the metrics and the health checks.
func (s *serving) handleMetrics(site *web.Site) (query string, err error) {
	site.Handle("/metrics", s.metrics.Handler(metrics.Source{
		Sessions: s.logs.events.sessions, Progress: s.srv.Progress, Ports: s.srv.PassivePorts,
		Bans: func() int { return len(s.srv.Bans()) }, Draining: s.draining.Load, Certificates: s.measuredCertificates, Hooks: s.measuredHooks, Quotas: s.quotas, Logins: s.measuredAuth,
	}))
	site.Handle("/healthz", answer(func() string { return "" }))
	site.Handle("/readyz", answer(s.notReady))
	return "", nil
}

// notReady returns why the server admits no sessions, or "" if it does.
func (s *serving) notReady() string {
	switch {
	case s.draining.Load():
		return "draining"
	case !s.ready.Load():
		return "starting or stopping"
	}
	return ""
}

// answer returns a handler that says ok with status 200, or with 503 what problem returns.
func answer(problem func() string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		text := problem()
		if text != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else {
			text = "ok"
		}
		_, _ = io.WriteString(w, text+"\n")
	})
}
