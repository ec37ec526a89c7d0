package main

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

// printJSON writes v indented; a nil list is an empty one.
func printJSON[T any](w io.Writer, v T) error {
	text, err := encodeJSON(v, "  ")
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	return err
}

// jsonLine returns v as one line of JSON, without its end. It has a blank after each colon
// and comma, for those who search it by grep.
func jsonLine(v any) string {
	text, err := encodeJSON(v, " ")
	if err != nil {
		return "null"
	}
	var b strings.Builder
	for line := range strings.Lines(text) { // a string of JSON has no line end
		line = strings.TrimSpace(line)
		if b.WriteString(line); strings.HasSuffix(line, ",") {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// encodeJSON encodes v. The control characters that JSON would let through are escaped,
// too: terminals obey them.
func encodeJSON(v any, indent string) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	var text strings.Builder
	for _, c := range b.String() { // which is UTF-8 here
		if c >= 0x7f && c < 0xa0 {
			fmt.Fprintf(&text, "\\u%04x", c)
		} else {
			text.WriteRune(c)
		}
	}
	return text.String(), nil
}

// failure is the object of --json for what was not done.
type failure struct {
	Verb  string `json:"verb,omitempty"`
	URL   string `json:"url,omitempty"`
	Error string `json:"error"`
	Kind  string `json:"kind"` // see failureKinds
	Exit  int    `json:"exit"`
	Reply string `json:"reply,omitempty"` // of the server
}

// failureKinds are the words for the exit codes.
var failureKinds = map[int]string{
	exitFailure: "failure", exitUsage: "usage", exitConnect: "connection", exitLogin: "login", exitRefused: "refused",
	exitIncomplete: "incomplete", exitTLS: "tls", exitLocal: "local", exitInterrupted: "interrupted",
}

// newFailure describes err, a failure of the named verb.
func newFailure(verb string, err error) *failure {
	f := &failure{Verb: verb, Error: strings.TrimSpace(err.Error()), Exit: exitCode(err)}
	f.Kind = failureKinds[f.Exit]
	var where *placed
	if errors.As(err, &where) && isURL(where.where) {
		f.URL = where.where
	}
	var reply *ftp.Error
	if errors.As(err, &reply) {
		f.Reply = reply.Reply.String()
	}
	return f
}

// jsonLines prints what --json does for a verb: a line for each result and each failure as
// they come, and a summary last. Without --json it prints nothing. It is safe for concurrent
// use.
type jsonLines struct {
	e    *env
	verb string
	on   bool

	mu           sync.Mutex
	done, failed int
}

// newJSONLines also makes each failure that is printed from now on a line.
func (e *env) newJSONLines(c *cli.Context) *jsonLines {
	l := &jsonLines{e: e, verb: c.Command.Name, on: c.Bool("json")}
	if l.on {
		e.jsonFailed = l.fail
	}
	return l
}

// result prints v, what came of one thing that was asked for.
func (l *jsonLines) result(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	if l.on {
		_, _ = io.WriteString(l.e.out, jsonLine(v)+"\n")
	}
}

// resultAt is result for a verb of which there is nothing more to tell.
func (l *jsonLines) resultAt(url string) {
	l.result(struct {
		Verb string `json:"verb"`
		URL  string `json:"url"`
	}{l.verb, url})
}

// failedRow prints v, which describes err, in place of the line of fail. The error that it
// returns is err for everyone else.
func (l *jsonLines) failedRow(v any, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed++
	if l.on {
		_, _ = io.WriteString(l.e.out, jsonLine(v)+"\n")
	}
	return rowed{err}
}

// rowed is an error of which --json has a line already.
type rowed struct{ error }

func (r rowed) Unwrap() error { return r.error }

func (l *jsonLines) fail(err error) {
	var done rowed
	if errors.As(err, &done) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed++
	_, _ = io.WriteString(l.e.out, jsonLine(newFailure(l.verb, err))+"\n")
}

// summary is the last line of --json.
type summary struct {
	Verb   string `json:"verb"`
	Done   int    `json:"done"`
	Failed int    `json:"failed"`
	Exit   int    `json:"exit"`
}

// end prints the summary, and err unless that was done before. It returns err.
func (l *jsonLines) end(err error) error {
	return l.endWith(err, func(s summary) any { return s })
}

// endWith is end for a verb whose summary has more in it.
func (l *jsonLines) endWith(err error, more func(summary) any) error {
	if !l.on {
		return err
	}
	err = l.e.sayLast(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := summary{l.verb, l.done, l.failed, exitCode(err)}
	_, _ = io.WriteString(l.e.out, jsonLine(more(s))+"\n")
	return err
}

// sayLast prints err, if it was not printed yet, before the end of what --json prints.
func (e *env) sayLast(err error) error {
	switch {
	case err == nil:
		return nil
	case e.ctx.Err() != nil:
		if e.jsonFailed != nil {
			e.jsonFailed(context.Canceled)
		}
		return context.Canceled // report prints it
	}
	e.sayError(err)
	return reported{Err: err}
}
