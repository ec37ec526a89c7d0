package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
)

// transferResult is one line of --json for get and put.
type transferResult struct {
	URL      string  `json:"url"`
	Local    string  `json:"local"`
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	Verified string  `json:"verified,omitempty"`
	Error    string  `json:"error,omitempty"`
	Exit     int     `json:"exit"`
}

// results gathers what --json prints in the end, in the order in which it came about.
// It is safe for concurrent use.
type results struct {
	out  io.Writer // nil: no JSON
	mu   sync.Mutex
	list []transferResult
}

func (e *env) newResults(c *cli.Context) *results {
	if !c.Bool("json") {
		return &results{}
	}
	return &results{out: e.out}
}

func (r *results) add(t transferResult, err error) {
	if r.out == nil {
		return
	}
	if err != nil {
		t.Error, t.Exit = err.Error(), exitCode(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, t)
}

// addFailure is add for what failed before there was a transfer; if there was one, it
// is in the list already.
func (r *results) addFailure(t transferResult, err error) {
	var told reported
	if err == nil || errors.As(err, &told) {
		return
	}
	r.mu.Lock()
	known := slices.ContainsFunc(r.list, func(other transferResult) bool { return other.URL == t.URL && other.Error != "" })
	r.mu.Unlock()
	if !known {
		r.add(t, err)
	}
}

func (r *results) flush() error {
	if r.out == nil {
		return nil
	}
	for i, t := range r.list {
		if t.Error != "" {
			r.list[i].URL = maskPassword(t.URL) // as in the error
		}
	}
	return printJSON(r.out, r.list)
}

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

func (l *jsonLines) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed++
	_, _ = io.WriteString(l.e.out, jsonLine(newFailure(l.verb, err))+"\n")
}

// end prints the summary, and err unless that was done before. It returns err.
func (l *jsonLines) end(err error) error {
	if !l.on {
		return err
	}
	err = l.e.sayLast(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.e.out, jsonLine(struct {
		Verb   string `json:"verb"`
		Done   int    `json:"done"`
		Failed int    `json:"failed"`
		Exit   int    `json:"exit"`
	}{l.verb, l.done, l.failed, exitCode(err)})+"\n")
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
	return reported{err}
}
