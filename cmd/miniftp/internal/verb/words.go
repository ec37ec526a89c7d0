package verb

import (
	"regexp"
	"strings"

	"miniftp/ftp"
)

// plainWord matches a word that a shell takes literally.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./~-]+$`)

// ShellWord quotes s, if necessary, so that a shell reads it as one word.
func ShellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// MaskValue returns the value of a flag with its password masked: that of --user of serve, that of a
// URL, or the whole value of --account, which servers treat as a second password.
func MaskValue(flag, value string) string {
	flag = strings.TrimLeft(flag, "-")
	if name, _, ok := strings.Cut(value, ":"); ok && flag == "user" {
		return name + ":****"
	}
	if flag == "account" {
		return "****"
	}
	return ftp.MaskURL(value)
}

// MaskFlag returns arg, a flag of the command line, with the password in its value masked.
func MaskFlag(arg string) string {
	if name, value, ok := strings.Cut(arg, "="); ok {
		return name + "=" + MaskValue(name, value)
	}
	return arg
}

// CommandLine returns the command line in a form that may be shown: passwords are masked, and the
// file of --explain is left out.
func (e *Env) CommandLine() string {
	words := []string{"miniftp"}
	for i, a := range e.Raw {
		switch {
		case i == 0 || strings.HasPrefix(a, "--explain="):
		case i > 1 && (strings.TrimLeft(e.Raw[i-1], "-") == "user" || strings.TrimLeft(e.Raw[i-1], "-") == "account"):
			words = append(words, ShellWord(MaskValue(e.Raw[i-1], a)))
		case strings.HasPrefix(a, "-"):
			words = append(words, ShellWord(MaskFlag(a)))
		default:
			words = append(words, ShellWord(ftp.MaskURL(a)))
		}
	}
	return strings.Join(words, " ")
}

// IsURL reports whether s is a URL rather than a local name. A file whose name looks like a URL can be given
// as ./NAME.
func IsURL(s string) bool {
	name, _, ok := strings.Cut(s, ":")
	return strings.Contains(s, "://") || ok && (strings.EqualFold(name, "zip") || strings.EqualFold(name, "tar"))
}

// isStorage reports whether s is the URL of a storage rather than of a server.
func isStorage(s string) bool {
	name, _, _ := strings.Cut(s, ":")
	return IsURL(s) && ftp.DefaultPort(strings.ToLower(name)) == ""
}

// Nearest returns the word in words that a mistyped word most likely means; "" if none is close.
func Nearest(word string, words []string) string {
	best, least := "", 1+len(word)/3
	for _, w := range words {
		if len(word) >= 4 && strings.HasSuffix(w, "-"+word) {
			return w
		}
		if max(len(w)-len(word), len(word)-len(w)) > least {
			continue // the distance is at least the difference in length
		}
		if d := distance(word, w); d <= least && (best == "" || d < least) {
			best, least = w, d
		}
	}
	return best
}

// distance returns the edit distance of a and b: how many letters to change, insert or delete.
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

// DidYouMean returns the end of an error about a mistyped word, or "" if near is "".
func DidYouMean(near string) string {
	if near == "" {
		return ""
	}
	return " (did you mean " + near + "?)"
}
