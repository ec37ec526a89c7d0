package shell

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"miniftp/cmd/miniftp/internal/verb"
)

// word is one word of a line of the shell.
type word struct {
	text string // without its quotes
	// glob is text as a pattern of path.Match: quoted *, ? and [ have a backslash in front.
	glob     string
	bare     bool // it does not begin with a quote: a leading dash or ~ is special
	from, to int  // its position in the line, in bytes
}

// isGlob reports whether the word is a pattern.
func (w word) isGlob() bool {
	for i := 0; i < len(w.glob); i++ {
		switch w.glob[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}

// isFlag reports whether the word is a flag of a verb.
func (w word) isFlag() bool { return w.bare && len(w.text) > 1 && w.text[0] == '-' }

// literal returns a word that means text literally.
func literal(text string) word {
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte(`*?[]\`, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return word{text: text, glob: b.String(), bare: true}
}

// command is one command of a line.
type command struct {
	words      []word
	text       string // as typed
	pipe       string // the text after |, for the local shell
	background bool   // it ends in &
}

// specials are the characters that a backslash quotes. Before any other character a backslash is
// literal, as in C:\dir.
const specials = " \t'\"\\;&|#*?[]!-~$()<>{}`"

// lexer splits a line. Words, quotes and backslashes follow the rules of a shell. Commands are separated
// by ; or end in &. After | the rest of the command, and after ! the rest of the line, is left to the local
// shell; after # the rest of the line is a comment. Nothing is expanded here: a pattern stays in
// word.glob, because only the server can match remote names.
type lexer struct {
	line string
	at   int
	open rune // the quote that is not closed, or 0
	all  []command
	now  command // the current command
	from int     // where the current command begins
	over bool    // the rest of the line is not parsed
}

// splitLine splits a line into commands.
func splitLine(line string) ([]command, error) {
	if strings.IndexByte(line, 0) >= 0 {
		return nil, verb.Usagef("the line holds a NUL character, which neither a file name nor a command may contain")
	}
	l := &lexer{line: line}
	if err := l.split(); err != nil {
		return nil, err
	}
	if l.open != 0 {
		return nil, verb.Usagef("a quote (%c) is not closed", l.open)
	}
	l.end(l.at)
	return l.all, nil
}

func (l *lexer) split() error {
	for l.at < len(l.line) {
		rest := l.line[l.at:]
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\r':
			l.at++
		case c == '#':
			l.end(l.at)
			l.over = true
			return nil
		case c == ';':
			l.end(l.at)
			l.at++
			l.from = l.at
		case strings.HasPrefix(rest, "&&"), strings.HasPrefix(rest, "||"):
			return verb.Usagef("%s is not supported: ; separates commands", rest[:2])
		case c == '&' && endsCommand(rest[1:]):
			if len(l.now.words) == 0 {
				return verb.Usagef("& must follow the command to run in the background")
			}
			l.now.background = true
			l.at++
			l.end(l.at)
			l.from = l.at
		case c == '!' && len(l.now.words) == 0:
			l.verbatim()
			return nil
		case c == '|':
			if err := l.pipe(); err != nil {
				return err
			}
		default:
			l.word()
		}
	}
	return nil
}

// endsCommand reports whether an & before rest ends a command. Otherwise it is part of a word.
func endsCommand(rest string) bool {
	return rest == "" || strings.ContainsRune(" \t\r;#", rune(rest[0]))
}

// pipe reads the text after |, up to the next ; that is not quoted.
func (l *lexer) pipe() error {
	from, quote := l.at+1, byte(0)
	for l.at++; l.at < len(l.line) && (quote != 0 || l.line[l.at] != ';'); l.at++ {
		switch c := l.line[l.at]; {
		case c == '\\' && quote != '\'':
			l.at++
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		}
	}
	l.at = min(l.at, len(l.line))
	l.now.pipe = strings.TrimSpace(l.line[from:l.at])
	if len(l.now.words) == 0 || l.now.pipe == "" {
		return verb.Usagef("| must be between a command and a local program, as in  cat notes.txt | less")
	}
	l.end(l.at)
	l.over = l.at == len(l.line)
	return nil
}

// verbatim reads !command: the rest of the line is for the local shell.
func (l *lexer) verbatim() {
	rest := strings.TrimSpace(l.line[l.at+1:])
	l.now.words = []word{literal("!")}
	if rest != "" {
		l.now.words = append(l.now.words, literal(rest))
	}
	l.end(len(l.line))
	l.over = true
}

// end adds the current command to the others, unless it is empty.
func (l *lexer) end(to int) {
	if len(l.now.words) > 0 {
		l.now.text = strings.TrimSpace(l.line[l.from:to])
		l.all = append(l.all, l.now)
	}
	l.now = command{}
}

func (l *lexer) word() {
	w := word{from: l.at, bare: l.line[l.at] != '\'' && l.line[l.at] != '"' && l.line[l.at] != '\\'}
	var text, glob strings.Builder
	put := func(c byte, quoted bool) {
		text.WriteByte(c)
		if quoted && strings.IndexByte(`*?[]\`, c) >= 0 || c == '\\' {
			glob.WriteByte('\\')
		}
		glob.WriteByte(c)
	}
	var quote byte
	for ; l.at < len(l.line); l.at++ {
		c := l.line[l.at]
		escaped := l.at+1 < len(l.line) && c == '\\'
		switch {
		case quote == 0 && (strings.IndexByte(" \t\r;|", c) >= 0 || c == '&' && endsCommand(l.line[l.at+1:])):
			w.text, w.glob, w.to = text.String(), glob.String(), l.at
			l.now.words = append(l.now.words, w)
			return
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote:
			quote = 0
		case quote == 0 && escaped && strings.IndexByte(specials, l.line[l.at+1]) >= 0,
			quote == '"' && escaped && (l.line[l.at+1] == '"' || l.line[l.at+1] == '\\'):
			l.at++
			put(l.line[l.at], true)
		default:
			put(c, quote != 0)
		}
	}
	l.open = rune(quote)
	w.text, w.glob, w.to = text.String(), glob.String(), l.at
	l.now.words = append(l.now.words, w)
}

// quoteWord quotes a name so that a line reads it as one word. It uses quote, which has been
// opened, or backslashes if quote is 0. If closed is set, it closes the quote.
func quoteWord(name string, quote rune, closed bool) string {
	var b strings.Builder
	if quote != 0 {
		b.WriteRune(quote)
	}
	for i, c := range name {
		switch {
		case quote == '\'' && c == '\'':
			b.WriteString(`'\'`)
		case quote == '"' && (c == '"' || c == '\\'):
			b.WriteByte('\\')
		case quote == 0 && c < utf8.RuneSelf && strings.ContainsRune(specials, c) && (i == 0 || !strings.ContainsRune("-~!#", c)):
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	if quote != 0 && closed {
		b.WriteRune(quote)
	}
	return b.String()
}

// typeable reports whether a name can be typed: it is UTF-8 without control characters.
func typeable(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// localName returns the local file name in a word. A leading ~/ is the home directory.
func localName(w word, home string) string {
	rest, ok := strings.CutPrefix(w.text, "~")
	if !w.bare || !ok || home == "" || rest != "" && !strings.ContainsRune("/"+string(filepath.Separator), rune(rest[0])) {
		return w.text
	}
	return home + rest
}

// localNames returns the local files that a word names: those that match its pattern, or the word
// itself.
func localNames(w word, home string) ([]string, error) {
	name := localName(w, home)
	if !w.isGlob() {
		return []string{name}, nil
	}
	pattern := w.glob
	if name != w.text {
		pattern = literal(home).glob + w.glob[1:]
	}
	if filepath.Separator == '\\' {
		pattern = strings.ReplaceAll(filepath.FromSlash(name), "[", "[[]")
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, verb.Usagef("%q is not a pattern: a [ is not closed", w.text)
	}
	found = slices.DeleteFunc(found, func(f string) bool { // like any shell, skip hidden names unless the pattern begins with a dot
		return strings.HasPrefix(filepath.Base(f), ".") && !strings.HasPrefix(path.Base(filepath.ToSlash(name)), ".")
	})
	if len(found) == 0 {
		return []string{name}, nil // the wildcards may be part of a name
	}
	return found, nil
}
