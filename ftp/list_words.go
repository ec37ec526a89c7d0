package ftp

// words holds the positions of the first words of a line. They are enough for the columns
// of any format; the name follows as a part of line, and is not split.
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

// gap returns the number of blanks between the i-th word and the next, or 0 if it is the last.
func (f *words) gap(i int) int {
	if i < 0 || i+1 >= f.n {
		return 0
	}
	return f.at[i+1].from - f.at[i].to
}

// after returns the line from the end of the i-th word.
func (f *words) after(i int) string {
	if i < 0 || i >= f.n {
		return ""
	}
	return f.line[f.at[i].to:]
}

func startsBlank(s string) bool { return s != "" && (s[0] == ' ' || s[0] == '\t') }

func isBlank(s string) bool { return skipBlanks(s) == "" }

// countBlanks returns the number of blanks at the start of s.
func countBlanks(s string) int { return len(s) - len(skipBlanks(s)) }
