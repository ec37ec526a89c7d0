package serve

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
)

// consoleHandler writes records as lines for people, for a terminal:
//
//	22:04 alice ← /report.pdf  13 kB  100 ms
//	22:05 cam → /scan.pdf  2.1 MB  400 ms
//	22:06 alice deleted /old.txt
type consoleHandler struct {
	w     io.Writer
	level slog.Leveler
}

func (h consoleHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }
func (h consoleHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h consoleHandler) WithGroup(string) slog.Handler                { return h }

func (h consoleHandler) Handle(_ context.Context, r slog.Record) error {
	a := consoleAttrs{}
	var order []string
	r.Attrs(func(attr slog.Attr) bool {
		a[attr.Key] = attr.Value
		order = append(order, attr.Key)
		return true
	})
	text, ok := consoleTexts[r.Message]
	line := ""
	if ok {
		line = text(a)
	} else {
		line = a.plain(r, order)
	}
	if line == "" {
		return nil
	}
	_, err := io.WriteString(h.w, r.Time.Local().Format("15:04 ")+line+"\n")
	return err
}

// consoleAttrs holds the attributes of a record by name.
type consoleAttrs map[string]slog.Value

func (a consoleAttrs) str(name string) string {
	v, ok := a[name]
	if !ok {
		return ""
	}
	return v.String()
}

// seconds returns the attribute seconds, 0 if there is none.
func (a consoleAttrs) seconds() time.Duration {
	v, ok := a["seconds"]
	if !ok {
		return 0
	}
	return time.Duration(v.Float64() * float64(time.Second))
}

// plain returns the line for a record whose message is not in consoleTexts.
func (a consoleAttrs) plain(r slog.Record, order []string) string {
	var b strings.Builder
	if r.Level >= slog.LevelWarn {
		b.WriteString(strings.ToLower(r.Level.String()) + ": ")
	}
	b.WriteString(r.Message)
	for _, name := range order {
		fmt.Fprintf(&b, " %s=%s", name, verb.ShellWord(a.str(name)))
	}
	return b.String()
}

// consoleTexts makes the lines of the most frequent records, by message. If the line is empty, nothing
// is written.
var consoleTexts = map[string]func(consoleAttrs) string{
	"started":         func(consoleAttrs) string { return "" }, // the banner is printed instead
	"stopped":         func(a consoleAttrs) string { return "stopped after " + term.Span(a.seconds()) },
	"logged in":       func(a consoleAttrs) string { return a.event(sessions.LoggedIn) },
	"session closed":  func(a consoleAttrs) string { return a.event(sessions.Closed) },
	"transferred":     func(a consoleAttrs) string { return a.event(sessions.Transfer) },
	"transfer failed": func(a consoleAttrs) string { return a.event(sessions.Transfer) },
	"changed":         func(a consoleAttrs) string { return a.event(sessions.Changed) },
	"refused":         func(a consoleAttrs) string { return a.event(sessions.Refused) },
	"and more of the same": func(a consoleAttrs) string {
		return strings.TrimSpace(fmt.Sprintf("%s and %s more: %s", cmp.Or(a.str("user"), a.str("from")), a.str("more"), a.str("reason")))
	},
}

// event returns the line of an event of that kind.
func (a consoleAttrs) event(kind string) string {
	v := sessions.Event{
		Kind: kind, User: a.str("user"), From: a.str("from"), Verb: a.str("verb"), Path: a.str("path"), To: a.str("to"),
		Why: a.str("why"), Option: a.str("option"), Seconds: a.seconds().Seconds(),
	}
	if n, ok := a["bytes"]; ok {
		v.Bytes = n.Int64()
	}
	if tls := a.str("tls"); tls != inClear {
		v.TLS = tls
	}
	if result := a.str("result"); kind == sessions.Transfer && result != whole {
		v.Why = result
	}
	return v.Line()
}
