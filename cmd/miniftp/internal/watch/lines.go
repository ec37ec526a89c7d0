package watch

import (
	"io"

	"miniftp/cmd/miniftp/internal/verb"
)

// errWriter writes to standard error between the lines of env.say, never into one.
type errWriter struct{ e *verb.Env }

func (w errWriter) Write(p []byte) (int, error) {
	w.e.Saying.Lock()
	defer w.e.Saying.Unlock()
	return w.e.Err.Write(p)
}

func (w errWriter) Unwrap() io.Writer { return w.e.Err }
