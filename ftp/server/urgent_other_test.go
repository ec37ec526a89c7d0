//go:build !unix

package server_test

// urgent: out-of-band bytes are tested where package syscall can send them.
func (c *ctl) urgent(string) {
	c.t.Skip("no out-of-band data here")
}
