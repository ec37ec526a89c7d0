package ftp

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
)

// URL is an address such as ftp://user:password@host:port/path;type=a (RFC 1738 §3.2). FTP has
// neither queries nor fragments, so "?" and "#" are ordinary characters of names.
type URL struct {
	// Scheme is ftp, ftpes (TLS by AUTH) or ftps (TLS before the greeting).
	Scheme         string
	User, Password string
	HasPassword    bool
	Addr           string // host:port
	// Path is decoded. It is relative to the login directory unless it began with %2F or a
	// second slash (RFC 1738 §3.2.2).
	Path    string
	Pattern string // the path as a pattern for path.Match; "" if it has no wildcard
	ASCII   bool   // ;type=a
	given   string // the path as it was given to ParseURL
}

// DefaultPort returns the port of URLs that have this scheme and no port, as a decimal number.
// It returns "" if the scheme is not ftp, ftpes or ftps.
func DefaultPort(scheme string) string {
	switch scheme {
	case "ftp", "ftpes":
		return "21"
	case "ftps":
		return "990"
	}
	return ""
}

// ParseURL parses an absolute URL. Errors do not contain the password.
func ParseURL(s string) (*URL, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return nil, fmt.Errorf("%q is not a URL such as ftp://host/path", MaskURL(s))
	}
	u := &URL{Scheme: strings.ToLower(scheme)}
	if DefaultPort(u.Scheme) == "" {
		return nil, fmt.Errorf("%s:// is not supported: only ftp://, ftpes:// (AUTH TLS) and ftps:// (TLS first)", scheme)
	}
	authority, p, _ := strings.Cut(rest, "/")
	if err := u.parseAuthority(authority); err != nil {
		return nil, err
	}
	if err := u.parsePath(p); err != nil {
		return nil, err
	}
	return u, nil
}

func (u *URL) parseAuthority(s string) error {
	if i := strings.LastIndex(s, "@"); i >= 0 {
		user, password, hasPassword := strings.Cut(s[:i], ":")
		var err1, err2 error
		u.User, err1 = PathUnescape(user)
		u.Password, err2 = PathUnescape(password)
		switch {
		case err1 != nil:
			return err1
		case errors.Is(err2, errURLBreak):
			return err2
		case err2 != nil: // err2 would quote the password
			return errors.New("the password in the URL is not encoded correctly: write %25 for a percent sign")
		}
		u.HasPassword = hasPassword
		s = s[i+1:]
	}
	host, port := splitHost(s, DefaultPort(u.Scheme))
	if host == "" {
		return errors.New("the URL names no host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("the port in the URL is not a number from 1 to 65535 (in a password, write %2F for / and %40 for @)")
	}
	if strings.HasPrefix(s, "[") {
		host = strings.Replace(host, "%25", "%", 1) // before the zone (RFC 6874)
	}
	if !isHost(host) {
		return fmt.Errorf("%q is not a host name", MaskURL(host))
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	u.Addr = host + ":" + port
	return nil
}

// splitHost splits host:port and [host]:port. If s has no port, it returns the given one; an IPv6
// address then needs no brackets.
func splitHost(s, port string) (string, string) {
	colon := strings.LastIndexByte(s, ':')
	if in, ok := strings.CutPrefix(s, "["); ok {
		host, after, ok := strings.Cut(in, "]:")
		if ok && !strings.ContainsAny(host, "[]") && !strings.ContainsAny(after, "[]:") {
			return host, after
		}
		return strings.TrimSuffix(in, "]"), port
	}
	if colon >= 0 && !strings.ContainsAny(s[:colon], ":[]") && !strings.ContainsAny(s[colon:], "[]") {
		return s[:colon], s[colon+1:]
	}
	return strings.TrimSuffix(strings.TrimSuffix(s, "]"), ":"), port
}

// isHost reports whether s is an IP address or a possible host name.
func isHost(s string) bool {
	if ip, err := netip.ParseAddr(s); err == nil {
		s = ip.Zone()
	}
	for _, c := range s {
		if c < 0x80 && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-._", c) || c == unicode.ReplacementChar {
			return false
		}
	}
	return true
}

func (u *URL) parsePath(p string) error {
	if i := strings.LastIndex(strings.ToLower(p), ";type="); i >= 0 && len(p) == i+len(";type=")+1 {
		switch p[len(p)-1] {
		case 'a', 'A':
			u.ASCII = true
		case 'i', 'I':
		default:
			return fmt.Errorf(";type=%c is neither a (text) nor i (bytes)", p[len(p)-1])
		}
		p = p[:i]
	}
	u.given = p
	var err error
	if u.Path, err = PathUnescape(p); err != nil {
		return err
	}
	if strings.ContainsAny(p, "*?[") {
		if u.Pattern, err = unescape(p, `\*?[`); err != nil {
			return err
		}
		if _, err := path.Match(u.Pattern, ""); err != nil {
			return fmt.Errorf("%q is not a pattern: a [ is not closed (write %%5B for the character)", p)
		}
	}
	return nil
}

var errURLBreak = errors.New("a CR, LF or NUL can't be part of a URL")

// PathUnescape decodes percent encoding. It refuses a CR, LF or NUL, whether encoded or not.
func PathUnescape(s string) (string, error) { return unescape(s, "") }

// unescape implements PathUnescape. Characters in meta that were encoded get a backslash, so that
// path.Match takes them literally.
func unescape(s, meta string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, coded := s[i], false
		if c == '%' {
			if i+2 >= len(s) {
				return "", errors.New("the URL ends in a broken % sequence: write %25 for a percent sign")
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("%q in the URL is not a %% sequence: write %%25 for a percent sign", s[i:i+3])
			}
			c, coded = byte(n), true
			i += 2
		}
		if c == '\r' || c == '\n' || c == 0 {
			return "", errURLBreak
		}
		if coded && strings.IndexByte(meta, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// PathEscape encodes the characters of p that have a meaning of their own in the path of a URL,
// such as '*', and leaves all others readable.
func PathEscape(p string) string {
	var b strings.Builder
	for i := range len(p) {
		switch c := p[i]; {
		case c <= ' ', c == 0x7f, strings.IndexByte(`%*?[;`, c) >= 0:
			b.WriteString("%" + strings.ToUpper(strconv.FormatUint(uint64(c)|0x100, 16)[1:]))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// String returns the URL without its password.
func (u *URL) String() string { return u.Join(u.Path) }

// Given returns the URL with its path as it was given to ParseURL, without the password.
func (u *URL) Given() string { return u.Server() + "/" + u.given }

// Join returns the URL of path p on the same server, without the password.
func (u *URL) Join(p string) string {
	if strings.HasPrefix(p, "/") {
		return u.Server() + "/%2F" + PathEscape(strings.TrimPrefix(p, "/"))
	}
	return u.Server() + "/" + PathEscape(p)
}

// Server returns the URL of the server, without a path, a slash at its end, or the password.
func (u *URL) Server() string {
	s := url.URL{Scheme: u.Scheme, Host: strings.TrimSuffix(u.Addr, ":"+DefaultPort(u.Scheme))}
	if u.User != "" {
		s.User = url.User(u.User)
	}
	return s.String()
}

// SameServer reports whether both URLs can use the same control connection: their scheme,
// address, user and password are equal.
func (u *URL) SameServer(o *URL) bool {
	return u.Scheme == o.Scheme && u.Addr == o.Addr && u.User == o.User && u.Password == o.Password && u.HasPassword == o.HasPassword
}

// MaskURL returns s with what looks like a password replaced by ****. s need not be a valid URL.
func MaskURL(s string) string {
	head, rest := "", s
	if scheme, after, ok := strings.Cut(s, "://"); ok {
		head, rest = scheme+"://", after
	}
	authority, path, _ := strings.Cut(rest, "/")
	if path != "" {
		path = "/" + path
	}
	if !strings.Contains(authority, "@") { // the user or the password may contain a slash
		if _, port, ok := strings.Cut(authority, ":"); ok && isNumber(port) && !strings.Contains(path, ":") {
			return s
		}
		authority, path = rest, ""
	}
	colon, end := strings.IndexByte(authority, ':'), strings.LastIndexByte(authority, '@')
	if colon < 0 || end < colon {
		return s
	}
	return head + authority[:colon] + ":****" + authority[end:] + path
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
