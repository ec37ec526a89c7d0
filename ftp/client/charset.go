package client

import "miniftp/ftp/pi"

// Charset is the encoding that a server uses for what is not ASCII; see pi.Charset.
type Charset = pi.Charset

// Unsendable returns why a file name can't be sent to a server with the given charset, which may be nil, as
// a clause that begins with "its name". It returns "" if it can be sent.
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

// decode decodes a line of a listing from the server's charset.
func (c *Client) decode(line string) string {
	if c.opts.Charset == nil {
		return line
	}
	return c.opts.Charset.Decode(line)
}
