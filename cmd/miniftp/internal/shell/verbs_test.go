package shell

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/copy"
	"miniftp/cmd/miniftp/internal/files"
	"miniftp/cmd/miniftp/internal/mirror"
	"miniftp/cmd/miniftp/internal/transfer"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs are the verbs that the tests of this package run.
var verbs = []verb.Verb{Command, transfer.Get, transfer.Put, mirror.Command, copy.Command, files.Ls, files.Cat, files.Stat, files.Rm, files.Mkdir, files.Mv, files.Chmod, files.Hash}

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
