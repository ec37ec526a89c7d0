package transfer

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/copy"
	"miniftp/cmd/miniftp/internal/files"
	"miniftp/cmd/miniftp/internal/mirror"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs are the verbs that the tests of this package run.
var verbs = []verb.Verb{Get, Put, mirror.Command, copy.Command, files.Ls, files.Cat, files.Rm, files.Hash}

// try runs a verb in this process, with no wait before retries.
var try = verbtest.Runner(verbs)

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
