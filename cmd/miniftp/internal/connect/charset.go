package connect

import (
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/client"
)

// charset is a client.Charset by the tables of golang.org/x/text.
type charset struct{ encoding.Encoding }

func (c charset) Encode(s string) (string, error) { return c.NewEncoder().String(s) }

func (c charset) Decode(s string) string {
	text, err := c.NewDecoder().String(s)
	if err != nil {
		return s
	}
	return text
}

// findCharset is the character set of --charset; nil for UTF-8, as names go anyway.
func findCharset(name string) (client.Charset, error) {
	if name == "" {
		return nil, nil
	}
	found, err := htmlindex.Get(name)
	if err != nil {
		found, err = ianaindex.IANA.Encoding(name)
	}
	if err != nil || found == nil {
		return nil, verb.Usagef("--charset %q is not known; latin1, windows-1251, shift_jis, gbk, big5, koi8-r and ibm850 are, among others", name)
	}
	switch canonical, _ := htmlindex.Name(found); {
	case canonical == "utf-8":
		return nil, nil
	case canonical == "replacement", strings.HasPrefix(strings.ToLower(name), "utf-16"), strings.HasPrefix(strings.ToLower(name), "utf-32"):
		return nil, verb.Usagef("--charset %q: commands can't be written in it", name)
	}
	// What a command and its reply are made of has to be ASCII.
	const ascii = "EPSV 229 (|||40000|) /a-b_c.d\""
	c := charset{found}
	if wire, err := c.Encode(ascii); err != nil || wire != ascii || c.Decode(ascii) != ascii {
		return nil, verb.Usagef("--charset %q: commands can't be written in it", name)
	}
	return c, nil
}
