package client

import (
	"fmt"

	"miniftp/ftp"
)

// Charset is how a server writes what is not ASCII, such as Latin-1 or Shift-JIS. Its
// methods have to be safe for concurrent use if several Clients share it.
type Charset interface {
	// Encode gives the server's bytes for a text, or an error if it has none.
	Encode(s string) (string, error)
	// Decode gives the text; what is no text becomes U+FFFD.
	Decode(s string) string
}

// encode puts a command into the server's charset.
func (c *Client) encode(cmd ftp.Command) (ftp.Command, error) {
	if c.opts.Charset == nil || cmd.Arg == "" {
		return cmd, nil
	}
	arg, err := c.opts.Charset.Encode(cmd.Arg)
	if err != nil {
		return cmd, fmt.Errorf("%s: the server's character set can't express it", ftp.Printable(cmd.Masked().String()))
	}
	cmd.Arg = arg
	return cmd, nil
}

// decode takes a line out of the server's charset.
func (c *Client) decode(line string) string {
	if c.opts.Charset == nil {
		return line
	}
	return c.opts.Charset.Decode(line)
}

// Unsendable returns why a file of that name can't be named to a server with that charset,
// which may be nil, as a clause that begins with "its name". It returns "" if it can.
func Unsendable(name string, set Charset) string {
	if sendable(name) != nil {
		return "its name has a line break, which FTP can't send"
	}
	if set != nil {
		if _, err := set.Encode(name); err != nil {
			return "its name has characters that the server's character set lacks"
		}
	}
	return ""
}
