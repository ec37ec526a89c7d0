package testutil

import (
	"errors"
	"testing"
)

// Must ends the test if err is not nil.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// IsA reports whether err is, or wraps, an error of type E.
func IsA[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}
