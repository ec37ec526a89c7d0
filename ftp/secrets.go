package ftp

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// mask is what stands in the place of a secret.
const mask = "****"

// Secrets holds the passwords and accounts that were sent over a control connection, so
// that they can be masked wherever they come up again: there are servers that repeat a
// password in a reply. The zero value holds none. A Secrets is safe for concurrent use.
type Secrets struct {
	mu   sync.RWMutex
	all  []string // the longest first
	user string   // of the last USER
}

// mostSecrets bounds what one Secrets holds, and so what Mask costs.
const mostSecrets = 32

// Learn takes the secrets from a command that is to be sent: what c.Masked hides.
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

// Add adds the password of a user; the name of the user may be empty. The password of
// anonymous, one that is the name of its user, and one of a single character are no
// secrets.
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

// Mask returns text without the secrets. A short one is masked only as a whole word.
func (s *Secrets) Mask(text string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, secret := range s.all {
		text = without(text, secret)
	}
	return text
}

// MaskReply returns r without the secrets. r itself is left as it is.
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

// MaskRefused is MaskReply for replies that refuse, or ask for more, which errors hold.
// Those of success are returned as they are, since their text is data: a path, an address,
// a size.
func (s *Secrets) MaskRefused(r Reply) Reply {
	switch r.Code.Class() {
	case Preliminary, Completion:
		return r
	}
	return s.MaskReply(r)
}

// shortSecret is the length in bytes up to which a secret may be a part of a word by chance.
const shortSecret = 5

func without(text, secret string) string {
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
