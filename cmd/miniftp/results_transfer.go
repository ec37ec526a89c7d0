package main

import (
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"miniftp/ftp/client"
)

// jsonTrouble is the part of a line of --json that says what went wrong.
type jsonTrouble struct {
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"` // see failureKinds
	Reply string `json:"reply,omitempty"`
}

// troubleOf returns what err has to say, and the exit code.
func troubleOf(did string, err error) (jsonTrouble, int) {
	if err == nil {
		return jsonTrouble{}, exitOK
	}
	f := newFailure(did, err)
	return jsonTrouble{f.Error, f.Kind, f.Reply}, f.Exit
}

// transferResult is one line of --json for get, put and copy.
type transferResult struct {
	URL      string  `json:"url,omitempty"`
	Local    string  `json:"local,omitempty"`
	From     string  `json:"from,omitempty"` // of copy
	To       string  `json:"to,omitempty"`
	Raw      []byte  `json:"raw,omitempty"` // Local, or the name at the end of URL or From, in base64, if it is not UTF-8
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	Direct   *bool   `json:"direct,omitempty"` // of copy: the data did not come here
	Verified string  `json:"verified,omitempty"`
	LeftOut  string  `json:"left_out,omitempty"` // why it was not transferred
	jsonTrouble
	Exit int `json:"exit"`
}

// moved fills in how a transfer went.
func (t transferResult) moved(res client.Result) transferResult {
	t.Bytes, t.Seconds, t.Verified = res.Bytes, res.Took.Seconds(), res.Verified
	return t
}

// results is what --json of get, put and copy prints. It is safe for concurrent use.
type results struct {
	*jsonLines
	began time.Time

	omitted int64 // guarded by mu
	one     bool  // only one file was asked for, whose line needs no summary
}

func (e *env) newResults(c *cli.Context) *results {
	return &results{jsonLines: e.newJSONLines(c), began: time.Now(), one: c.NArg() <= 2 && !c.Bool("recursive")}
}

// add prints a line. It returns err, which has one then.
func (r *results) add(t transferResult, err error) error {
	if !r.on {
		return err
	}
	t = t.withRaw()
	if err == nil {
		r.result(t)
		return nil
	}
	t.jsonTrouble, t.Exit = troubleOf(r.verb, err)
	t.URL, t.From, t.To = maskPassword(t.URL), maskPassword(t.From), maskPassword(t.To) // as in the error
	return r.failedRow(t, err)
}

// omit prints a line for a name that is left out, which is neither done nor failed.
func (r *results) omit(t transferResult, why string) {
	t.LeftOut = why
	r.mu.Lock()
	defer r.mu.Unlock()
	r.omitted++
	if r.on {
		_, _ = io.WriteString(r.e.out, jsonLine(t.withRaw())+"\n")
	}
}

// withRaw adds the bytes of a name that is not UTF-8.
func (t transferResult) withRaw() transferResult {
	for _, name := range []string{t.Local, t.URL, t.From} {
		if !utf8.ValidString(name) {
			t.Raw = []byte(base(name))
			if name == t.Local {
				t.Raw = []byte(name)
			}
			break
		}
	}
	return t
}

// addFailure is add for what failed before there was a transfer. An error that has a line
// already gets no other one.
func (r *results) addFailure(t transferResult, err error) error {
	var told reported
	var done rowed
	if err == nil || errors.As(err, &told) || errors.As(err, &done) {
		return err
	}
	return r.add(t, err)
}

// end prints the summary, with what the meter has counted, unless all is said by the line
// of the one file that was asked for. It returns err.
func (r *results) end(err error, m *meter) error {
	if r.on && r.one {
		err = r.e.sayLast(err)
		if r.done+r.failed == 1 {
			return err
		}
	}
	return r.endWith(err, func(s summary) any {
		m.mu.Lock()
		defer m.mu.Unlock()
		return struct {
			summary
			Files   int64   `json:"files"`
			Bytes   int64   `json:"bytes"`
			Seconds float64 `json:"seconds"`
			LeftOut int64   `json:"left_out"`
		}{s, m.files, m.bytes, time.Since(r.began).Seconds(), m.kept + r.omitted}
	})
}
