package demo

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs are what the tests of this package run.
var verbs = []verb.Verb{Command}

// try runs a verb in this process, with no wait before retries.
func try(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return verbtest.Run(t, verbs, args...)
}

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
