// Package gate checks uploads for serve before they become visible: by clamd, by programs and by webhooks. Its Gate is a
// server.Gate that asks one checker after the other, keeps what was refused in a quarantine, and logs each verdict.
//
// It knows nothing of settings and sessions. serve/gate.go makes a Gate of the settings.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// Gate asks checkers about uploads. It is safe for concurrent use once its fields are set.
type Gate struct {
	// Log gets a line for each verdict.
	Log *slog.Logger
	// Quarantine, if not nil, gets the uploads that are refused.
	Quarantine *Quarantine

	checkers []checker
}

// checker decides about the content of uploads.
type checker interface {
	// String returns how the checker is called in the log, without secrets.
	String() string
	// check returns nil if the upload may become visible. The error is a *server.GateRefusal if it must not, and of
	// another type if that could not be found out.
	check(ctx context.Context, u *server.GateUpload) error
}

// New returns a Gate that asks the checkers in the order of specs. Each is written as clamd:/PATH/OF/SOCKET,
// clamd:HOST:PORT, exec:/PATH/OF/PROGRAM, or https://HOST/PATH. secret, if not empty, signs the requests to webhooks.
func New(specs []string, secret []byte) (*Gate, error) {
	g := &Gate{Log: slog.New(slog.DiscardHandler)}
	for _, spec := range specs {
		c, err := parse(spec, secret)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", ftp.Printable(ftp.MaskURL(spec)), err)
		}
		g.checkers = append(g.checkers, c)
	}
	return g, nil
}

func parse(spec string, secret []byte) (checker, error) {
	kind, rest, _ := strings.Cut(spec, ":")
	switch kind {
	case "clamd":
		return newClamd(rest)
	case "exec":
		return newProgram(rest)
	case "https", "http":
		return newWebhook(spec, secret)
	}
	return nil, errors.New("write clamd:/PATH/OF/SOCKET, clamd:HOST:PORT, exec:/PATH/OF/PROGRAM or https://HOST/PATH")
}

// HasWebhook reports whether a checker is a webhook.
func (g *Gate) HasWebhook() bool {
	for _, c := range g.checkers {
		if _, ok := c.(*webhook); ok {
			return true
		}
	}
	return false
}

// CheckUpload implements server.Gate. It stops at the first checker that does not let the upload pass.
func (g *Gate) CheckUpload(ctx context.Context, u *server.GateUpload) error {
	for _, c := range g.checkers {
		start := time.Now()
		err := c.check(ctx, u)
		took := time.Since(start)
		refusal, refused := errors.AsType[*server.GateRefusal](err)
		switch {
		case ctx.Err() != nil: // what the checker says then does not count
			err = context.Cause(ctx)
			g.log(slog.LevelWarn, u, c, took, "unchecked", callout.FirstLine(err.Error()))
			return err
		case refused:
			refusal = &server.GateRefusal{Text: callout.FirstLine(refusal.Text)}
			g.log(slog.LevelWarn, u, c, took, "refused", refusal.Text)
			return g.refuse(ctx, u, c, refusal)
		case err != nil:
			g.log(slog.LevelError, u, c, took, "unchecked", callout.FirstLine(err.Error()))
			return err
		}
		g.log(slog.LevelInfo, u, c, took, "passed", "")
	}
	return nil
}

// refuse puts a refused upload into the quarantine. If that fails, the upload is refused nevertheless, because the
// client still has it.
func (g *Gate) refuse(ctx context.Context, u *server.GateUpload, c checker, refusal *server.GateRefusal) error {
	if g.Quarantine == nil {
		return refusal
	}
	name, err := g.Quarantine.add(ctx, u, c.String(), refusal.Text)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		g.Log.Error("a refused upload could not be put into the quarantine: it is removed", append(about(u), "err", callout.FirstLine(err.Error()))...)
	default:
		g.Log.Info("quarantined", append(about(u), "file", name)...)
	}
	return refusal
}

func (g *Gate) log(level slog.Level, u *server.GateUpload, c checker, took time.Duration, result, why string) {
	attrs := append(about(u), "checker", c.String(), "seconds", float64(took.Milliseconds())/1000)
	if why != "" {
		attrs = append(attrs, "why", why)
	}
	g.Log.Log(context.Background(), level, "upload checked", append(attrs, "result", result)...)
}

func about(u *server.GateUpload) []any {
	return []any{"session", u.Session, "user", callout.FirstLine(u.User), "from", u.Remote.String(), "verb", u.Verb, "path", callout.FirstLine(u.Path), "bytes", u.Size}
}

func refuse(format string, args ...any) error {
	return &server.GateRefusal{Text: fmt.Sprintf(format, args...)}
}

// maxOutput limits how much of what a checker says is kept, in bytes.
const maxOutput = 4 << 10

// host returns the address of the client without its port.
func host(a netip.AddrPort) string { return a.Addr().Unmap().String() }
