package serve

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/files"
	"miniftp/cmd/miniftp/internal/passwd"
	"miniftp/cmd/miniftp/internal/transfer"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs holds the verbs that the tests of this package run.
var verbs = []verb.Verb{Command, Config, passwd.Command, transfer.Get, transfer.Put, files.Ls, files.Cat, files.Rm}

// try runs a verb in this process, without waiting before retries.
var try = verbtest.Runner(verbs)

// serveHere runs a server in this process.
func serveHere(t *testing.T, args ...string) *verbtest.InProcess {
	t.Helper()
	return verbtest.Serve(t, verbs, args...)
}

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
