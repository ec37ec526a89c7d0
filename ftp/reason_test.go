package ftp_test

import (
	"testing"

	"miniftp/ftp"
)

// TestReasons checks that each reason has a unique name, and that the name of any other value is "other".
func TestReasons(t *testing.T) {
	seen := map[string]ftp.Reason{}
	for r := ftp.ReasonOther; r <= ftp.ReasonNotResumed; r++ {
		name := r.String()
		if before, ok := seen[name]; ok || name == "" {
			t.Errorf("%d and %d are both %q", before, r, name)
		}
		seen[name] = r
	}
	for _, none := range []ftp.Reason{-1, ftp.ReasonNotResumed + 1} {
		if none.String() != "other" {
			t.Errorf("%d is %q", none, none)
		}
	}
}
