package server_test

import (
	"os"
)

// soaking is set for make soak: what the ordinary tests do a few times is then done
// for minutes.
var soaking = os.Getenv("MINIFTP_SOAK") != ""

// times is how often a test does something.
func times(usually, soaked int) int {
	if soaking {
		return soaked
	}
	return usually
}
