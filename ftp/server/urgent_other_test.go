//go:build !unix

package server_test

// urgent skips the test: out-of-band data is tested where package syscall can send it.
func (c *ctl) urgent(string) {
	c.t.Skip("out-of-band data is not supported")
}
