//go:build !linux && !darwin

package server_test

import "testing"

// roomFor has nothing to raise here.
func roomFor(testing.TB, int) {}
