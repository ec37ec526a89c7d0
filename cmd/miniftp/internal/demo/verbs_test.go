package demo

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// verbs are the verbs that the tests of this package run.
var verbs = []verb.Verb{Command}

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
