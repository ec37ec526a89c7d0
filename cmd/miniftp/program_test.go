package main

import (
	"os"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

func TestMain(m *testing.M) { os.Exit(verbtest.Main(m)) }
