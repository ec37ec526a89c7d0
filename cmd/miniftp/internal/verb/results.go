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

// PrintJSON writes v indented; a nil list is an empty one.
func PrintJSON[T any](w io.Writer, v T) error {
	text, err := encodeJSON(v, "  ")
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	return err
}

// JSONLine returns v as one line of JSON, without its end. It has a blank after each colon
// and comma, for those who search it by grep.
func JSONLine(v any) string {
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

// Failure is the object of --json for what was not done.
type Failure struct {
	Verb  string `json:"verb,omitempty"`
	URL   string `json:"url,omitempty"`
	Error string `json:"error"`
	Kind  string `json:"kind"` // see failureKinds
	Exit  int    `json:"exit"`
	Reply string `json:"reply,omitempty"` // of the server
}

// failureKinds are the words for the exit codes.
var failureKinds = map[int]string{
	ExitFailure: "failure", ExitUsage: "usage", ExitConnect: "connection", ExitLogin: "login", ExitRefused: "refused",
	ExitIncomplete: "incomplete", ExitTLS: "tls", ExitLocal: "local", ExitInterrupted: "interrupted",
}

// NewFailure describes err, a failure of the named verb.
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

// JSONLines prints what --json does for a verb: a line for each result and each failure as
// they come, and a summary last. Without --json it prints nothing. It is safe for concurrent
// use.
type JSONLines struct {
	E    *Env
	Verb string
	On   bool

	Mu           sync.Mutex
	Done, Failed int
}

// NewJSONLines also makes each failure that is printed from now on a line.
func (e *Env) NewJSONLines(c *cli.Context) *JSONLines {
	l := &JSONLines{E: e, Verb: c.Command.Name, On: c.Bool("json")}
	if l.On {
		e.JSONFailed = l.fail
	}
	return l
}

// Result prints v, what came of one thing that was asked for.
func (l *JSONLines) Result(v any) {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	l.Done++
	if l.On {
		_, _ = io.WriteString(l.E.Out, JSONLine(v)+"\n")
	}
}

// ResultAt is result for a verb of which there is nothing more to tell.
func (l *JSONLines) ResultAt(url string) {
	l.Result(struct {
		Verb string `json:"verb"`
		URL  string `json:"url"`
	}{l.Verb, url})
}

// FailedRow prints v, which describes err, in place of the line of fail. The error that it
// returns is err for everyone else.
func (l *JSONLines) FailedRow(v any, err error) error {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	l.Failed++
	if l.On {
		_, _ = io.WriteString(l.E.Out, JSONLine(v)+"\n")
	}
	return Rowed{err}
}

// Rowed is an error of which --json has a line already.
type Rowed struct{ error }

func (r Rowed) Unwrap() error { return r.error }

func (l *JSONLines) fail(err error) {
	if errors.As(err, new(Rowed)) {
		return
	}
	l.Mu.Lock()
	defer l.Mu.Unlock()
	l.Failed++
	_, _ = io.WriteString(l.E.Out, JSONLine(NewFailure(l.Verb, err))+"\n")
}

// Summary is the last line of --json.
type Summary struct {
	Verb   string `json:"verb"`
	Done   int    `json:"done"`
	Failed int    `json:"failed"`
	Exit   int    `json:"exit"`
}

// End prints the summary, and err unless that was done before. It returns err.
func (l *JSONLines) End(err error) error {
	return l.EndWith(err, func(s Summary) any { return s })
}

// EndWith is end for a verb whose summary has more in it.
func (l *JSONLines) EndWith(err error, more func(Summary) any) error {
	if !l.On {
		return err
	}
	err = l.E.SayLast(err)
	l.Mu.Lock()
	defer l.Mu.Unlock()
	s := Summary{l.Verb, l.Done, l.Failed, ExitCode(err)}
	_, _ = io.WriteString(l.E.Out, JSONLine(more(s))+"\n")
	return err
}

// SayLast prints err, if it was not printed yet, before the end of what --json prints.
func (e *Env) SayLast(err error) error {
	switch {
	case err == nil:
		return nil
	case e.Ctx.Err() != nil:
		if e.JSONFailed != nil {
			e.JSONFailed(context.Canceled)
		}
		return context.Canceled // report prints it
	}
	e.SayError(err)
	return Reported{Err: err}
}
