package server_test

import "miniftp/ftp/internal/testutil"

// times returns how often a test does something.
func times(usually, soaked int) int {
	if testutil.Soaking {
		return soaked
	}
	return usually
}
