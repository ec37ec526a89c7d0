package ftptest_test

import (
	"os"
	"testing"

	"miniftp/ftp/internal/testutil"
)

func TestMain(m *testing.M) {
	testutil.RunParallel()
	os.Exit(m.Run())
}
