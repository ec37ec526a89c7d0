package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/urfave/cli/v2"
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

// printJSON writes v indented; a nil list is an empty one. The control characters that
// JSON would let through are escaped, too: terminals obey them.
func printJSON[T any](w io.Writer, v T) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	var text bytes.Buffer
	for _, c := range b.String() { // which is UTF-8 here
		if c >= 0x7f && c < 0xa0 {
			fmt.Fprintf(&text, "\\u%04x", c)
		} else {
			text.WriteRune(c)
		}
	}
	_, err := w.Write(text.Bytes())
	return err
}
