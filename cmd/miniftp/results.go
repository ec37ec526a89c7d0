package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"miniftp/ftp/client"
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

// results gathers what --json prints in the end.
type results struct {
	out  io.Writer // nil: no JSON
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
	r.list = append(r.list, t)
}

func (r *results) flush() error {
	if r.out == nil {
		return nil
	}
	return printJSON(r.out, r.list)
}

// printJSON writes v indented; a nil list is an empty one.
func printJSON[T any](w io.Writer, v T) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// firstError is a, or b where a is nil.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// note tells something that is no error.
func (e *env) note(format string, args ...any) {
	fmt.Fprintf(e.err, "miniftp: "+format+"\n", args...)
}

// copyOut sends a remote file to w; after a break it goes on where it stopped.
func (k *link) copyOut(path string, ascii bool, w io.Writer) error {
	counted := &countWriter{w: w}
	return k.do(func(cl *client.Client, try int) error {
		_, err := cl.RetrieveWith(k.ctx, client.Transfer{Path: path, Offset: counted.n, ASCII: ascii}, counted)
		return err
	})
}

// countWriter counts what was written, to go on from there.
type countWriter struct {
	w io.Writer
	n int64
}

func (c *countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
