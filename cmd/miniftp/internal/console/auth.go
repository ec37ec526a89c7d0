package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"miniftp/ftp/dtp"
)

// proofHeader is a header that a page of another site can't send without being allowed to.
const proofHeader = "X-Miniftp-Console"

// minToken is the minimum length of a token, which is sent to anyone's guessing.
const minToken = 16

// NewToken returns a random token.
func NewToken() string { return rand.Text() }

// ParseToken returns the token in a file: its only line, at least 16 characters of ASCII without blanks.
func ParseToken(text []byte) (string, error) {
	token := strings.TrimSpace(string(text))
	if strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("the token must be one line of ASCII without blanks")
	}
	if len(token) < minToken {
		return "", fmt.Errorf("the token has %d characters: at least %d are needed", len(token), minToken)
	}
	return token, nil
}

// Loopback reports whether only this machine can reach an address that is listened on.
func Loopback(at net.Addr) bool { return dtp.AddrPort(at).Addr().Unmap().IsLoopback() }

// cookieName returns the name of the cookie. Browsers send a cookie to all ports of a host, so it includes the port.
func cookieName(at net.Addr) string {
	return fmt.Sprintf("miniftp-console-%d", dtp.AddrPort(at).Port())
}

// cookie returns the value of the cookie of those who know the token. The token can't be computed from it.
func (c *Console) cookie() string {
	mac := hmac.New(sha256.New, []byte(c.token))
	mac.Write([]byte("cookie of the live page"))
	return hex.EncodeToString(mac.Sum(nil))
}

// equal compares secrets in a time that depends on neither their content nor their length.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// named refuses requests for a host that is not this machine if no token is needed. Otherwise a page of another site
// could reach this one by a name that it makes resolve to 127.0.0.1 (DNS rebinding).
func (c *Console) named(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.token == "" && !isLoopbackHost(r.Host) {
			http.Error(w, "This page answers only requests for localhost or a loopback address: see --console-token-file.", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// isLoopbackHost reports whether the Host header of a request names this machine.
func isLoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// knows reports whether a request has the cookie, or needs none.
func (c *Console) knows(r *http.Request, name string) bool {
	if c.token == "" {
		return true
	}
	got, err := r.Cookie(name)
	return err == nil && equal(got.Value, c.cookie())
}

// admitted refuses requests without the cookie.
func (c *Console) admitted(name string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.knows(r, name) {
			http.Error(w, "This page needs its token.", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// welcome answers the page itself: with a cookie and a redirection if the URL has the token, so that it stays neither in
// the address bar nor in the history, and with a form that asks for it if it is missing.
func (c *Console) welcome(name string, page fs.FS) http.Handler {
	show := func(w http.ResponseWriter, r *http.Request, file string, status int) {
		text, err := fs.ReadFile(page, file)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write(text)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.URL.Query().Has("token")
		switch {
		case given && c.token != "" && !equal(r.URL.Query().Get("token"), c.token):
			c.wrongToken(r)
			show(w, r, "token.html", http.StatusUnauthorized)
		case given:
			if c.token != "" {
				//nolint:gosec // not Secure: the site has no TLS
				http.SetCookie(w, &http.Cookie{Name: name, Value: c.cookie(), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
			}
			http.Redirect(w, r, "/", http.StatusSeeOther)
		case !c.knows(r, name):
			show(w, r, "token.html", http.StatusUnauthorized)
		default:
			show(w, r, "index.html", http.StatusOK)
		}
	})
}

// wrongToken logs that somebody does not know the token, at most once a minute.
func (c *Console) wrongToken(r *http.Request) {
	now := time.Now().Unix()
	if last := c.warned.Load(); now-last >= 60 && c.warned.CompareAndSwap(last, now) {
		c.src.Log.Warn("wrong token for the live page", "from", r.RemoteAddr)
	}
}

// foreign reports whether a request says that a page of another site has sent it.
func foreign(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return site != "" && site != "same-origin" || origin != "" && (err != nil || u.Host != r.Host)
}

// ownPage refuses requests of pages of other sites. These can't read the answers, but could use up the places of viewers.
func ownPage(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if foreign(r) {
			http.Error(w, "Only the page itself may ask for this.", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// proven also refuses requests that do not prove that the page itself has sent them. It is for all that changes something.
func proven(h http.Handler) http.Handler {
	return ownPage(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(proofHeader) == "" || r.Header.Get("Sec-Fetch-Site") == "" && r.Header.Get("Origin") == "" {
			http.Error(w, "Only the page itself may ask for this.", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	}))
}
