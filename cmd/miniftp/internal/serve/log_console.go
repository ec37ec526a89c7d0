package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

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

// who returns the user, or the address of a client that has not logged in.
func (a consoleAttrs) who() string {
	if user := a.str("user"); user != "" {
		return user
	}
	return a.str("from")
}

// span returns the attribute seconds as text, "" if there is none.
func (a consoleAttrs) span() string {
	v, ok := a["seconds"]
	if !ok {
		return ""
	}
	return term.Span(time.Duration(v.Float64() * float64(time.Second)))
}

func (a consoleAttrs) bytes(name string) string { return term.Size(a[name].Int64()) }

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
	"started": func(consoleAttrs) string { return "" }, // the banner is printed instead
	"stopped": func(a consoleAttrs) string { return "stopped after " + a.span() },
	"logged in": func(a consoleAttrs) string {
		line := a.who() + " logged in from " + a.str("from")
		if tls := a.str("tls"); tls != inClear {
			line += " (" + tls + ")"
		}
		return line
	},
	"session closed": func(a consoleAttrs) string {
		if a.str("user") == "" {
			return ""
		}
		return fmt.Sprintf("%s disconnected after %s", a.who(), a.span())
	},
	"transferred": func(a consoleAttrs) string {
		switch a.str("verb") {
		case "STOR", "APPE", "STOU":
			return fmt.Sprintf("%s → %s  %s  %s", a.who(), a.str("path"), a.bytes("bytes"), a.span())
		case "RETR":
			return fmt.Sprintf("%s ← %s  %s  %s", a.who(), a.str("path"), a.bytes("bytes"), a.span())
		}
		return fmt.Sprintf("%s listed %s", a.who(), a.str("path"))
	},
	"transfer failed": func(a consoleAttrs) string {
		return fmt.Sprintf("%s %s %s failed: %s", a.who(), a.str("verb"), a.str("path"), a.str("result"))
	},
	"changed": func(a consoleAttrs) string {
		line := a.who() + " " + changeWord(a.str("verb")) + " " + a.str("path")
		if to := a.str("to"); to != "" {
			line += " to " + to
		}
		return line
	},
	"refused": func(a consoleAttrs) string {
		line := a.who()
		if verb := a.str("verb"); verb != "" {
			line += ": " + strings.TrimSpace(verb+" "+a.str("path"))
		}
		line += " refused: " + a.str("why")
		if option := a.str("option"); strings.Contains(option, ".") { // a key of the file
			line += " (" + option + ")"
		} else if option != "" {
			line += " (--" + option + ")"
		}
		return line
	},
	"and more of the same": func(a consoleAttrs) string {
		return strings.TrimSpace(fmt.Sprintf("%s and %s more: %s", a.who(), a.str("more"), a.str("reason")))
	},
}

// changeWord returns what a command does to a file, in the past tense.
func changeWord(verb string) string {
	words := map[string]string{
		"DELE": "deleted", "RMD": "removed directory", "MKD": "made directory", "RNTO": "renamed",
		"SITE CHMOD": "changed the mode of", "SITE SYMLINK": "made link",
		"MFMT": "set the time of", "MDTM": "set the time of", "SITE UTIME": "set the time of", "MFF": "changed facts of",
	}
	if word, ok := words[verb]; ok {
		return word
	}
	return verb
}
