package ftp

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// mask replaces a secret.
const mask = "****"

// Secrets collects the passwords and accounts that were sent over a control connection, so
// that they can be masked in later texts: some servers repeat a password in a reply. The zero
// value is empty and ready for use. A Secrets is safe for concurrent use.
type Secrets struct {
	mu   sync.RWMutex
	all  []string // the longest first, so that Mask leaves no part of a longer one
	user string   // the argument of the last USER
}

// mostSecrets limits the number of secrets in a Secrets, and so the cost of Mask.
const mostSecrets = 32

// Learn adds the secrets in a command that is about to be sent: what c.Masked would replace.
func (s *Secrets) Learn(c Command) {
	switch {
	case strings.EqualFold(c.Verb, "USER"):
		s.mu.Lock()
		s.user = c.Arg
		s.mu.Unlock()
	case c.masked() == c.Arg:
	case strings.EqualFold(c.Verb, "SITE"):
		for _, w := range strings.Fields(c.Arg)[1:] {
			s.Add("", w)
		}
	default:
		s.mu.RLock()
		user := s.user
		s.mu.RUnlock()
		s.Add(user, c.Arg)
	}
}

// Add adds the password of a user; user may be empty. The password of anonymous, a password
// equal to the name of its user, and one of a single character are not treated as secrets.
func (s *Secrets) Add(user, secret string) {
	if secret == user || strings.EqualFold(user, "anonymous") || strings.EqualFold(user, "ftp") || utf8.RuneCountInString(secret) < 2 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == mostSecrets || slices.Contains(s.all, secret) {
		return
	}
	s.all = append(s.all, secret)
	slices.SortStableFunc(s.all, func(a, b string) int { return len(b) - len(a) })
}

// Mask returns text with the secrets replaced. A short secret is replaced only where it is a
// whole word.
func (s *Secrets) Mask(text string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, secret := range s.all {
		text = maskOne(text, secret)
	}
	return text
}

// MaskReply returns a reply with the secrets in its text replaced. The lines of r are not changed.
func (s *Secrets) MaskReply(r Reply) Reply {
	if len(r.Lines) == 0 {
		return r
	}
	lines := r.Lines
	for i, line := range r.Lines {
		if masked := s.Mask(line); masked != line {
			if &lines[0] == &r.Lines[0] {
				lines = slices.Clone(r.Lines)
			}
			lines[i] = masked
		}
	}
	r.Lines = lines
	return r
}

// MaskRefused is like MaskReply, but returns preliminary and successful replies unchanged,
// because their text is data: a path, an address or a size.
func (s *Secrets) MaskRefused(r Reply) Reply {
	switch r.Code.Class() {
	case Preliminary, Completion:
		return r
	}
	return s.MaskReply(r)
}

// shortSecret is the length in bytes up to which a secret may occur inside a word by chance.
const shortSecret = 5

// maskOne returns text with one secret replaced; see Mask.
func maskOne(text, secret string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, secret)
		if i < 0 {
			return b.String() + text
		}
		end := i + len(secret)
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[end:])
		b.WriteString(text[:i])
		if len(secret) <= shortSecret && (isWord(before) || isWord(after)) {
			b.WriteString(secret)
		} else {
			b.WriteString(mask)
		}
		text = text[end:]
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
