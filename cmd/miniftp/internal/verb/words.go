package verb

import (
	"regexp"
	"strings"

	"miniftp/ftp"
)

// plainWord matches what a shell takes for one word as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./~-]+$`)

// ShellWord quotes s, if need be, so that a shell takes it for one word.
func ShellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// MaskValue returns the value of a flag without its password: --user of serve has one.
func MaskValue(flag, value string) string {
	if name, _, ok := strings.Cut(value, ":"); ok && strings.TrimLeft(flag, "-") == "user" {
		return name + ":****"
	}
	return ftp.MaskURL(value)
}

// MaskFlag returns a word of the command line that is a flag without the password in its value.
func MaskFlag(arg string) string {
	if name, value, ok := strings.Cut(arg, "="); ok {
		return name + "=" + MaskValue(name, value)
	}
	return arg
}

// CommandLine returns the command line as it may be shown: without its passwords, and without
// the file of --explain.
func (e *Env) CommandLine() string {
	words := []string{"miniftp"}
	for i, a := range e.Raw {
		switch {
		case i == 0 || strings.HasPrefix(a, "--explain="):
		case i > 1 && strings.TrimLeft(e.Raw[i-1], "-") == "user":
			words = append(words, ShellWord(MaskValue("user", a)))
		case strings.HasPrefix(a, "-"):
			words = append(words, ShellWord(MaskFlag(a)))
		default:
			words = append(words, ShellWord(ftp.MaskURL(a)))
		}
	}
	return strings.Join(words, " ")
}

// IsURL reports whether s is a URL and not a local name.
func IsURL(s string) bool { return strings.Contains(s, "://") }

// Nearest returns the one of words that a mistyped word may mean; "" if none is near.
func Nearest(word string, words []string) string {
	best, least := "", 1+len(word)/3
	for _, w := range words {
		if len(word) >= 4 && strings.HasSuffix(w, "-"+word) {
			return w
		}
		if max(len(w)-len(word), len(word)-len(w)) > least {
			continue // the distance is no less than that
		}
		if d := distance(word, w); d <= least && (best == "" || d < least) {
			best, least = w, d
		}
	}
	return best
}

// distance is how many letters have to change, come or go.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// DidYouMean returns the end of the error for a mistyped word; it is empty if no word is near.
func DidYouMean(near string) string {
	if near == "" {
		return ""
	}
	return " (did you mean " + near + "?)"
}
