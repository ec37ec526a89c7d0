package ftp

// words holds the first words of a line and their positions. Names follow them
// and are never split.
type words struct {
	line string
	at   [16]struct{ from, to int }
	n    int
}

func splitWords(line string) words {
	f := words{line: line}
	for i := 0; f.n < len(f.at); f.n++ {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
			i++
		}
		from := i
		for i < len(line) && line[i] != ' ' && line[i] != '\t' {
			i++
		}
		if i == from {
			break
		}
		f.at[f.n].from, f.at[f.n].to = from, i
	}
	return f
}

// word returns the i-th word, or "".
func (f *words) word(i int) string {
	if i < 0 || i >= f.n {
		return ""
	}
	return f.line[f.at[i].from:f.at[i].to]
}

// gap returns the number of blanks between the i-th word and the next, 0 at the end.
func (f *words) gap(i int) int {
	if i < 0 || i+1 >= f.n {
		return 0
	}
	return f.at[i+1].from - f.at[i].to
}

// behind returns what follows the i-th word.
func (f *words) behind(i int) string {
	if i < 0 || i >= f.n {
		return ""
	}
	return f.line[f.at[i].to:]
}

func startsBlank(s string) bool { return s != "" && (s[0] == ' ' || s[0] == '\t') }

func isBlank(s string) bool { return skipBlanks(s) == "" }

// countBlanks returns the number of blanks at the start of s.
func countBlanks(s string) int { return len(s) - len(skipBlanks(s)) }
