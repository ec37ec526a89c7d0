package settings

import (
	"errors"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

var errExpires = errors.New(`must be a date such as 2027-01-31, the last day on which the user can log in, or a time such as 2027-01-31T18:00:00Z`)

// setExpires reads expires: a date or time of TOML, or either as a text. A date means the end of that day, and a time without a zone is
// local.
func (a *Account) setExpires(raw any) error {
	switch v := raw.(type) {
	case time.Time:
		a.Expires, a.expires = v, v.Format(time.RFC3339)
	case toml.LocalDateTime:
		a.Expires, a.expires = v.AsTime(time.Local), v.String()
	case toml.LocalDate:
		a.Expires, a.expires = v.AsTime(time.Local).AddDate(0, 0, 1), v.String()
	case string:
		return a.parseExpires(v)
	default:
		return errExpires
	}
	return nil
}

// parseExpires reads a text as TOML, which allows a space between date and time.
func (a *Account) parseExpires(text string) error {
	var in struct{ At any }
	if err := toml.Unmarshal([]byte("at = "+text), &in); err != nil || strings.ContainsAny(text, "\r\n#") {
		return errExpires
	}
	if _, nested := in.At.(string); nested {
		return errExpires
	}
	return a.setExpires(in.At)
}

// Expired reports whether the account has expired at that time.
func (a *Account) Expired(now time.Time) bool { return !a.Expires.IsZero() && !now.Before(a.Expires) }

// shownExpires returns what config show prints for expires.
func (a *Account) shownExpires() any {
	if a.expires == "" {
		return nil
	}
	return a.expires
}
