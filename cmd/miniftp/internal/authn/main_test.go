package authn

import (
	"testing"

	"go.uber.org/goleak"
)

// No question leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
