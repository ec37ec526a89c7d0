package main

import "testing"

// try runs the program in this process, with no wait before retries.
func try(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return runVerbs(t, verbs, args...)
}

// serveHere runs a server in this process.
func serveHere(t *testing.T, args ...string) *inProcess {
	t.Helper()
	return serveVerbs(t, verbs, args...)
}
