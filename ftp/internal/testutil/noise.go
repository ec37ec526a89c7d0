package testutil

import (
	"math/rand/v2"
	"strings"
)

// Noise returns n pseudorandom bytes, which depend only on n. They cannot be compressed, and no
// wrong transfer produces them by chance.
func Noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), 1})
	_, _ = r.Read(b)
	return b
}

// TwoVersions returns two contents of the same size that differ at both ends and are equal in the
// middle.
func TwoVersions(size int) (one, two string) {
	end := size / 4
	mk := func(c string) string {
		return strings.Repeat(c, end) + strings.Repeat("\x00", size-2*end) + strings.Repeat(c, end)
	}
	return mk("A"), mk("B")
}
