package main

import (
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// try runs the program in this process. It does not wait before retries.
func try(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return verbtest.Run(t, verbs, args...)
}

// serveHere runs a server in this process.
func serveHere(t *testing.T, args ...string) *verbtest.InProcess {
	t.Helper()
	return verbtest.Serve(t, verbs, args...)
}
