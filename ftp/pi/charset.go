package pi

import (
	"fmt"
	"strings"

	"miniftp/ftp"
)

// Charset is how a server writes what is not ASCII, such as Latin-1 or Shift-JIS. Its
// methods have to be safe for concurrent use if several connections share it.
type Charset interface {
	// Encode gives the server's bytes for a text, or an error if it has none.
	Encode(s string) (string, error)
	// Decode gives the text; what is no text becomes U+FFFD.
	Decode(s string) string
}

// encode puts a command into the server's charset.
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

// decode takes the lines of a reply out of the server's charset.
func (c *Conn) decode(r ftp.Reply) ftp.Reply {
	if c.cfg.Charset != nil {
		for i := range r.Lines {
			r.Lines[i] = c.cfg.Charset.Decode(r.Lines[i])
		}
	}
	return r
}

// Sendable refuses what no command can carry, before the first of several is sent.
func Sendable(args ...string) error {
	for _, a := range args {
		if strings.ContainsAny(a, "\r\n\x00") {
			return fmt.Errorf("%q: %w", clip(a), ftp.ErrLineBreak)
		}
	}
	return nil
}
