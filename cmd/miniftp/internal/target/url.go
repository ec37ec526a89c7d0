// Package target is how a command line names things on a server: ftp://user@host/path, patterns,
// and paths below them.
//
// It stands on verb, for its errors. It dials nothing.
package target

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"

	"miniftp/cmd/miniftp/internal/verb"
)

// Remote is an ftp://, ftpes:// or ftps:// URL. Its path is relative to the login directory unless it
// began with %2F or a second slash (RFC 1738 §3.2.2).
type Remote struct {
	Scheme     string
	User, Pass string
	HasPass    bool
	Addr       string // host:port
	Path       string // decoded
	Pattern    string // the path as a pattern of path.Match; "" if it is none
	shown      string // the path as it was typed
	ASCII      bool   // ;type=a
}

// Ports are those that a URL of each scheme means if it names none.
var Ports = map[string]string{"ftp": "21", "ftpes": "21", "ftps": "990"}

// Parse reads a URL. "?" and "#" are parts of names, as FTP has neither
// queries nor fragments.
func Parse(s string) (*Remote, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return nil, verb.Usagef("%q is not a URL such as ftp://host/path", verb.MaskPassword(s))
	}
	r := &Remote{Scheme: strings.ToLower(scheme)}
	if Ports[r.Scheme] == "" {
		return nil, verb.Usagef("%s:// is not spoken here: only ftp://, ftpes:// (AUTH TLS) and ftps:// (TLS first)", scheme)
	}
	authority, p, _ := strings.Cut(rest, "/")
	if err := r.parseAuthority(authority); err != nil {
		return nil, err
	}
	return r, r.parsePath(p)
}

func (r *Remote) parseAuthority(s string) error {
	if i := strings.LastIndex(s, "@"); i >= 0 {
		user, pass, hasPass := strings.Cut(s[:i], ":")
		var err1, err2 error
		r.User, err1 = Unescape(user)
		r.Pass, err2 = Unescape(pass)
		switch {
		case err1 != nil:
			return err1
		case errors.Is(err2, errURLBreak):
			return err2
		case err2 != nil: // it would quote the password
			return verb.Usagef("the password in the URL is not written right: encode a percent sign as %%25")
		}
		r.HasPass = hasPass
		s = s[i+1:]
	}
	host, port := s, Ports[r.Scheme]
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, port = h, p
	} else {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		if strings.HasSuffix(host, ":") && !strings.HasPrefix(s, "[") {
			host = strings.TrimSuffix(host, ":")
		}
	}
	if host == "" {
		return verb.Usagef("the URL names no host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return verb.Usagef("the port in the URL is no number from 1 to 65535 (a / or @ in a password is written %%2F or %%40)")
	}
	if strings.HasPrefix(s, "[") {
		host = strings.Replace(host, "%25", "%", 1) // before the zone (RFC 6874)
	}
	if !isHost(host) {
		return verb.Usagef("%q is not a host name", verb.MaskPassword(host))
	}
	r.Addr = net.JoinHostPort(host, port)
	return nil
}

// isHost reports whether s is an IP address or may be the name of a host.
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

func (r *Remote) parsePath(p string) error {
	if i := strings.LastIndex(strings.ToLower(p), ";type="); i >= 0 && len(p) == i+len(";type=")+1 {
		switch p[len(p)-1] {
		case 'a', 'A':
			r.ASCII = true
		case 'i', 'I':
		default:
			return verb.Usagef(";type=%c is neither a (text) nor i (bytes)", p[len(p)-1])
		}
		p = p[:i]
	}
	r.shown = p
	var err error
	if r.Path, err = Unescape(p); err != nil {
		return err
	}
	if strings.ContainsAny(p, "*?[") {
		if r.Pattern, err = Unescape(p, `\*?[`); err != nil {
			return err
		}
		if _, err := path.Match(r.Pattern, ""); err != nil {
			return verb.Usagef("%q is not a pattern: a [ is not closed (write %%5B for the character)", p)
		}
	}
	return nil
}

var errURLBreak = verb.Usagef("a CR, LF or NUL can't be part of a URL")

// Unescape undoes the percent encoding. A CR, LF or NUL, however written, is
// refused. What is in meta and was encoded comes out behind a backslash.
func Unescape(s string, meta ...string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, coded := s[i], false
		if c == '%' {
			if i+2 >= len(s) {
				return "", verb.Usagef("the URL ends in a broken %% sequence: write %%25 for a percent sign")
			}
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", verb.Usagef("%q in the URL is no %% sequence: write %%25 for a percent sign", s[i:i+3])
			}
			c, coded = byte(n), true
			i += 2
		}
		if c == '\r' || c == '\n' || c == 0 {
			return "", errURLBreak
		}
		if coded && len(meta) > 0 && strings.IndexByte(meta[0], c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// String returns the URL without its password.
func (r *Remote) String() string { return r.Join(r.Path) }

// Given returns the URL as it was typed, without its password.
func (r *Remote) Given() string { return r.Server() + "/" + r.shown }

// Join returns the URL of a path on the same server.
func (r *Remote) Join(p string) string {
	if strings.HasPrefix(p, "/") {
		return r.Server() + "/%2F" + Escape(strings.TrimPrefix(p, "/"))
	}
	return r.Server() + "/" + Escape(p)
}

// Server returns the URL of the server, without a slash at its end.
func (r *Remote) Server() string {
	u := url.URL{Scheme: r.Scheme, Host: strings.TrimSuffix(r.Addr, ":"+Ports[r.Scheme])}
	if r.User != "" {
		u.User = url.User(r.User)
	}
	return u.String()
}

// Escape leaves names readable and encodes what would be read as something else.
func Escape(p string) string {
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

// SameServer reports whether both URLs can share a control connection.
func (r *Remote) SameServer(o *Remote) bool {
	return r.Scheme == o.Scheme && r.Addr == o.Addr && r.User == o.User && r.Pass == o.Pass && r.HasPass == o.HasPass
}

// NamesSeveral reports whether the path of the URL is a pattern. The host, the user and the
// password are not looked at: [::1] is no pattern.
func NamesSeveral(url string) bool {
	r, err := Parse(url)
	return err == nil && r.Pattern != ""
}

// Join returns the path of a name in a remote directory; "" is that of the login.
func Join(dir, name string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}

// Base returns the last component of a remote path.
func Base(p string) string { return path.Base(strings.TrimRight(p, "/")) }
