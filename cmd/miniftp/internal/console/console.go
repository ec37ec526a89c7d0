// Package console is the live page of serve: it shows the sessions, the transfers, the throughput, the refusals and the
// ladder of each session in a browser, and ends sessions.
//
// Nothing is sampled and no event is kept while nobody looks. One goroutine samples for all viewers; each viewer is sent
// what has changed. The package uses sessions and web, and must not depend on the server: Source is all it knows of it.
package console

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/web"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Source is what the page asks a server for.
type Source struct {
	Name, Version string
	Sessions      *sessions.List
	Progress      func(id uint64) (moved, total int64, ok bool) // see server.Server
	Kick          func(id uint64) bool
	Ports         func() dtp.PortsUsage
	Draining      func() bool
	Quotas        func() []sessions.Quota
	Log           *slog.Logger
}

// reasons is the number of ftp.Reasons, by which refusals are counted.
const reasons = int(ftp.ReasonNotResumed) + 1

// Console is the live page of one server.
type Console struct {
	src     Source
	token   string // "": none is needed
	since   time.Time
	refused [reasons]atomic.Int64
	setting func(ftp.Reason) string
	warned  atomic.Int64 // when a wrong token was last logged, in seconds since 1970

	ctx    context.Context // ends when Close is called
	cancel context.CancelFunc
	hubs   sync.WaitGroup

	mu  sync.Mutex
	hub *hub // nil while nobody looks
}

// New returns a Console that counts refusals from now on. setting returns the setting that decides about refusals for a
// reason. The caller must call Close.
func New(setting func(ftp.Reason) string) *Console {
	c := &Console{setting: setting, since: time.Now()}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Follow counts an event if it is a refusal.
func (c *Console) Follow(e ftp.Event) {
	reason, ok := sessions.RefusedFor(e.What)
	if !ok {
		return
	}
	i := int(reason)
	if i < 0 || i >= reasons {
		i = int(ftp.ReasonOther)
	}
	c.refused[i].Add(1)
}

// Close ends the sampling. It must be called after web.Site.Close, which ends the viewers. A nil Console has nothing to
// end.
func (c *Console) Close() {
	if c == nil {
		return
	}
	c.cancel()
	c.hubs.Wait()
}

//go:embed page
var files embed.FS

// policy lets the page load its own files and nothing else, and run no script that is written in it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Handle registers the page at the site. Whoever wants to see it needs token, unless that is "": then the site must
// listen on loopback, and its Host header must name loopback.
func (c *Console) Handle(site *web.Site, src Source, token string) {
	c.src, c.token = src, token
	page, err := fs.Sub(files, "page")
	if err != nil {
		return // page is a directory of files
	}
	served := http.StripPrefix("/console/", http.FileServerFS(page))
	name := cookieName(site.Addr())
	site.Handle("/{$}", c.named(c.welcome(name, page)))
	for _, file := range []string{"console.css", "icon.svg"} { // the page that asks for a token needs them, too
		site.Handle("/console/"+file, c.named(withPolicy(served)))
	}
	for _, file := range []string{"console.js", "chart.js", "ladder.js", "table.js"} {
		site.Handle("/console/"+file, c.named(c.admitted(name, withPolicy(served))))
	}
	site.Handle("/console/stream", c.named(c.admitted(name, ownPage(http.HandlerFunc(c.stream)))))
	site.Handle("POST /console/kick", c.named(c.admitted(name, proven(http.HandlerFunc(c.kick)))))
}

// withPolicy sets the Content-Security-Policy of the page.
func withPolicy(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		h.ServeHTTP(w, r)
	})
}
