package meter

import (
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Trouble holds the fields about an error in a line of --json.
type Trouble struct {
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"` // see package verb
	Reply string `json:"reply,omitempty"`
}

// TroubleOf returns the fields about err for a line of --json, and the exit code.
func TroubleOf(did string, err error) (Trouble, int) {
	if err == nil {
		return Trouble{}, verb.ExitOK
	}
	f := verb.NewFailure(did, err)
	return Trouble{f.Error, f.Kind, f.Reply}, f.Exit
}

// Result is one line of --json for get, put and copy.
type Result struct {
	URL      string  `json:"url,omitempty"`
	Local    string  `json:"local,omitempty"`
	From     string  `json:"from,omitempty"` // of copy
	To       string  `json:"to,omitempty"`
	Raw      []byte  `json:"raw,omitempty"` // Local, or the name at the end of URL or From, in base64, if it is not UTF-8
	Bytes    int64   `json:"bytes"`
	Seconds  float64 `json:"seconds"`
	Direct   *bool   `json:"direct,omitempty"` // of copy: the data went directly from server to server
	Verified string  `json:"verified,omitempty"`
	LeftOut  string  `json:"left_out,omitempty"` // why it was not transferred
	Trouble
	Exit int `json:"exit"`
}

// Moved returns t with the result of a transfer.
func (t Result) Moved(res client.Result) Result {
	t.Bytes, t.Seconds, t.Verified = res.Bytes, res.Took.Seconds(), res.Verified
	return t
}

// Results prints the output of --json for get, put and copy. It is safe for concurrent use.
type Results struct {
	*verb.JSONLines
	e       *verb.Env
	verb    string
	began   time.Time
	omitted atomic.Int64
	one     bool // only one file was asked for, so there is no summary line
}

// NewResults returns the Results of a run. From then on, with --json, each failure is printed as a line.
func NewResults(e *verb.Env, c *cli.Context) *Results {
	return &Results{JSONLines: e.NewJSONLines(c), e: e, verb: c.Command.Name, began: time.Now(), one: c.NArg() <= 2 && !c.Bool("recursive")}
}

// Add prints a line, and returns err marked as reported.
func (r *Results) Add(t Result, err error) error {
	if !r.On {
		return err
	}
	t = t.withRaw()
	if err == nil {
		r.Result(t)
		return nil
	}
	t.Trouble, t.Exit = TroubleOf(r.verb, err)
	t.URL, t.From, t.To = ftp.MaskURL(t.URL), ftp.MaskURL(t.From), ftp.MaskURL(t.To) // without passwords, as in the error
	return r.FailedRow(t, err)
}

// Omit prints a line for a file that is left out, which is neither a success nor a failure.
func (r *Results) Omit(t Result, why string) {
	t.LeftOut = why
	r.omitted.Add(1)
	r.Aside(t.withRaw())
}

// withRaw adds the bytes of a name that is not UTF-8.
func (t Result) withRaw() Result {
	for _, name := range []string{t.Local, t.URL, t.From} {
		if !utf8.ValidString(name) {
			t.Raw = []byte(target.Base(name))
			if name == t.Local {
				t.Raw = []byte(name)
			}
			break
		}
	}
	return t
}

// AddFailure is like Add, for a failure before a transfer. If err was already reported, it prints no line.
func (r *Results) AddFailure(t Result, err error) error {
	if err == nil || verb.Told(err) {
		return err
	}
	return r.Add(t, err)
}

// End ends the bars of m and reports what was left out. Then it prints the summary, unless only one file was
// asked for. done is what was done to the files, such as "fetched". End returns err, or the error of --strict.
func (r *Results) End(err error, left *verb.Omissions, m *Meter, done string) error {
	m.Wait()
	err = verb.FirstError(err, left.Tell())
	m.sumUp(done)
	if r.On && r.one {
		err = r.e.SayLast(err)
		if r.Count() == 1 {
			return err
		}
	}
	return r.EndWith(err, func(s verb.Summary) any {
		m.mu.Lock()
		defer m.mu.Unlock()
		return struct {
			verb.Summary
			Files   int64   `json:"files"`
			Bytes   int64   `json:"bytes"`
			Seconds float64 `json:"seconds"`
			LeftOut int64   `json:"left_out"`
		}{s, m.files, m.bytes, time.Since(r.began).Seconds(), m.kept + r.omitted.Load()}
	})
}
