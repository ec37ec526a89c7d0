package testutil

import "math/rand/v2"

// Noise returns n bytes that no compression, and no accident, gets right; the same ones for
// the same n.
func Noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n), 1})
	_, _ = r.Read(b)
	return b
}
