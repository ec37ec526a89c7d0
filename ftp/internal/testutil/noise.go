package testutil

import (
	"math/rand/v2"
	"strings"
)

// Noise returns n bytes that no compression, and no accident, gets right; the same ones for
// the same n.
func Noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), 1})
	_, _ = r.Read(b)
	return b
}

// TwoVersions returns two contents of one size that are the same in the middle.
func TwoVersions(size int) (one, two string) {
	end := size / 4
	mk := func(c string) string {
		return strings.Repeat(c, end) + strings.Repeat("\x00", size-2*end) + strings.Repeat(c, end)
	}
	return mk("A"), mk("B")
}
