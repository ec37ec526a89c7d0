package pi

import (
	"fmt"
	"strings"

	"miniftp/ftp"
)

// Charset is an encoding of file names, such as Latin-1 or Shift-JIS. Its methods must be safe for
// concurrent use if several connections share it.
type Charset interface {
	// Encode returns s in the server's encoding, or an error if s can't be encoded.
	Encode(s string) (string, error)
	// Decode decodes s. Invalid bytes become U+FFFD.
	Decode(s string) string
}

// encode encodes the argument of a command.
func (c *Conn) encode(cmd ftp.Command) (ftp.Command, error) {
	if c.cfg.Charset == nil || cmd.Arg == "" {
		return cmd, nil
	}
	arg, err := c.cfg.Charset.Encode(cmd.Arg)
	if err != nil {
		return cmd, fmt.Errorf("%s: the server's character set can't express it", ftp.Printable(cmd.Masked().String()))
	}
	cmd.Arg = arg
	return cmd, nil
}

// decode decodes the lines of a reply.
func (c *Conn) decode(r ftp.Reply) ftp.Reply {
	if c.cfg.Charset != nil {
		for i := range r.Lines {
			r.Lines[i] = c.cfg.Charset.Decode(r.Lines[i])
		}
	}
	return r
}

// Sendable returns an error if an argument contains a line break or NUL, which no command can contain.
func Sendable(args ...string) error {
	for _, a := range args {
		if strings.ContainsAny(a, "\r\n\x00") {
			return fmt.Errorf("%q: %w", clip(a), ftp.ErrLineBreak)
		}
	}
	return nil
}
