package gate

import (
	"testing"

	"go.uber.org/goleak"
)

// No check leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
