package connect

import (
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/client"
)

// charset implements client.Charset with an encoding of golang.org/x/text.
type charset struct{ encoding.Encoding }

func (c charset) Encode(s string) (string, error) { return c.NewEncoder().String(s) }

func (c charset) Decode(s string) string {
	text, err := c.NewDecoder().String(s)
	if err != nil {
		return s
	}
	return text
}

// findCharset returns the character set that --charset names. It returns nil for UTF-8, which needs no
// conversion.
func findCharset(name string) (client.Charset, error) {
	if name == "" {
		return nil, nil
	}
	found, err := htmlindex.Get(name)
	if err != nil {
		found, err = ianaindex.IANA.Encoding(name)
	}
	if err != nil || found == nil {
		return nil, verb.Usagef("--charset %q: unknown character set; known ones are latin1, windows-1251, shift_jis, gbk, big5, koi8-r, ibm850 and others", name)
	}
	switch canonical, _ := htmlindex.Name(found); {
	case canonical == "utf-8":
		return nil, nil
	case canonical == "replacement", strings.HasPrefix(strings.ToLower(name), "utf-16"), strings.HasPrefix(strings.ToLower(name), "utf-32"):
		return nil, verb.Usagef("--charset %q: it can't be used, because FTP commands can't be written in it", name)
	}
	// Commands and replies must have the same bytes as in ASCII.
	const ascii = "EPSV 229 (|||40000|) /a-b_c.d\""
	c := charset{found}
	if wire, err := c.Encode(ascii); err != nil || wire != ascii || c.Decode(ascii) != ascii {
		return nil, verb.Usagef("--charset %q: it can't be used, because FTP commands can't be written in it", name)
	}
	return c, nil
}
