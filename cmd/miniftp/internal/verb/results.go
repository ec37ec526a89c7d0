package verb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
)

// PrintJSON writes v as indented JSON; a nil list is written as an empty one.
func PrintJSON[T any](w io.Writer, v T) error {
	text, err := encodeJSON(v, "  ")
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	return err
}

// JSONLine returns v as one line of JSON, without a newline. A blank follows each colon and comma,
// which makes the line easier to grep.
func JSONLine(v any) string {
	text, err := encodeJSON(v, " ")
	if err != nil {
		return "null"
	}
	var b strings.Builder
	for line := range strings.Lines(text) { // a JSON string holds no newline
		line = strings.TrimSpace(line)
		if b.WriteString(line); strings.HasSuffix(line, ",") {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// encodeJSON encodes v. It also escapes the control characters that encoding/json lets through,
// because terminals act on them.
func encodeJSON(v any, indent string) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	var text strings.Builder
	for _, c := range b.String() { // encoding/json writes valid UTF-8
		if c >= 0x7f && c < 0xa0 {
			fmt.Fprintf(&text, "\\u%04x", c)
		} else {
			text.WriteRune(c)
		}
	}
	return text.String(), nil
}

// Failure is the line that --json prints for a failure.
type Failure struct {
	Verb  string `json:"verb,omitempty"`
	URL   string `json:"url,omitempty"`
	Error string `json:"error"`
	Kind  string `json:"kind"` // see failureKinds
	Exit  int    `json:"exit"`
	Reply string `json:"reply,omitempty"` // the server's reply
}

// failureKinds maps the exit codes to the values of Failure.Kind.
var failureKinds = map[int]string{
	ExitFailure: "failure", ExitUsage: "usage", ExitConnect: "connection", ExitLogin: "login", ExitRefused: "refused",
	ExitIncomplete: "incomplete", ExitTLS: "tls", ExitLocal: "local", ExitInterrupted: "interrupted",
}

// NewFailure returns a description of err, a failure of the named verb.
func NewFailure(verb string, err error) *Failure {
	f := &Failure{Verb: verb, Error: strings.TrimSpace(err.Error()), Exit: ExitCode(err)}
	f.Kind = failureKinds[f.Exit]
	if where, ok := errors.AsType[*placed](err); ok && IsURL(where.where) {
		f.URL = where.where
	}
	if reply, ok := errors.AsType[*ftp.Error](err); ok {
		f.Reply = reply.Reply.String()
	}
	return f
}

// JSONLines prints the --json output of a verb: a line for each result and each failure as they
// happen, and a summary at the end. Without --json it prints nothing. It is safe for concurrent
// use.
type JSONLines struct {
	On   bool
	e    *Env
	verb string

	mu           sync.Mutex
	done, failed int
}

// NewJSONLines returns the JSONLines of a verb. With --json, every failure that is printed from
// then on also gets a line.
func (e *Env) NewJSONLines(c *cli.Context) *JSONLines {
	l := &JSONLines{e: e, verb: c.Command.Name, On: c.Bool("json")}
	if l.On {
		e.JSONFailed = l.fail
	}
	return l
}

// Result prints v, a result that counts as done.
func (l *JSONLines) Result(v any) { l.print(v, 1, 0) }

// Aside prints v, which counts neither as done nor as failed.
func (l *JSONLines) Aside(v any) { l.print(v, 0, 0) }

// Count returns how many things were done or failed.
func (l *JSONLines) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done + l.failed
}

func (l *JSONLines) print(v any, done, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done += done
	l.failed += failed
	if l.On {
		_, _ = io.WriteString(l.e.Out, JSONLine(v)+"\n")
	}
}

// ResultAt prints the result of a verb that has only a URL to report.
func (l *JSONLines) ResultAt(url string) {
	l.Result(struct {
		Verb string `json:"verb"`
		URL  string `json:"url"`
	}{l.verb, url})
}

// FailedRow prints v, which describes err, and returns err marked as having its line.
func (l *JSONLines) FailedRow(v any, err error) error {
	l.print(v, 0, 1)
	return rowed{err}
}

// rowed is an error that --json has already printed a line for.
type rowed struct{ error }

func (r rowed) Unwrap() error { return r.error }

// Told reports whether err has been printed or has its line of --json.
func Told(err error) bool { return errors.As(err, new(Reported)) || errors.As(err, new(rowed)) }

func (l *JSONLines) fail(err error) {
	if errors.As(err, new(rowed)) {
		return
	}
	l.print(NewFailure(l.verb, err), 0, 1)
}

// Summary is the last line of --json.
type Summary struct {
	Verb   string `json:"verb"`
	Done   int    `json:"done"`
	Failed int    `json:"failed"`
	Exit   int    `json:"exit"`
}

// End prints the summary, and err unless that has been done. It returns err.
func (l *JSONLines) End(err error) error {
	return l.EndWith(err, func(s Summary) any { return s })
}

// EndWith is like End, but prints more(summary) in place of the summary.
func (l *JSONLines) EndWith(err error, more func(Summary) any) error {
	if !l.On {
		return err
	}
	err = l.e.SayLast(err)
	l.mu.Lock()
	s := Summary{l.verb, l.done, l.failed, ExitCode(err)}
	l.mu.Unlock()
	l.Aside(more(s))
	return err
}

// SayLast prints err, unless that has been done, before the last line of --json. It returns err marked as
// printed or, after an interrupt, context.Canceled.
func (e *Env) SayLast(err error) error {
	switch {
	case err == nil:
		return nil
	case e.Ctx.Err() != nil:
		if e.JSONFailed != nil {
			e.JSONFailed(context.Canceled)
		}
		return context.Canceled // Report prints the interrupt
	}
	e.SayError(err)
	return Reported{Err: err}
}
