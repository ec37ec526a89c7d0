package main

import "io"

// errWriter writes to standard error between the lines of env.say, never into one.
type errWriter struct{ e *env }

func (w errWriter) Write(p []byte) (int, error) {
	w.e.saying.Lock()
	defer w.e.saying.Unlock()
	return w.e.err.Write(p)
}

func (w errWriter) Unwrap() io.Writer { return w.e.err }
