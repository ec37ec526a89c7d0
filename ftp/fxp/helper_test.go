package fxp_test

import (
	"os"
	"testing"

	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/internal/transfertest"
)

func TestMain(m *testing.M) { os.Exit(testutil.Main(m)) }

// dial logs in to a fake server.
var dial = transfertest.Dial
