package ftp

import "strings"

// takeColumns sets links, owner, group and size of e from the words between mode and
// date. It returns false if these words are not such columns.
func (e *Entry) takeColumns(f *words, from, to int) bool {
	glued, ok := "", true
	switch size := f.word(to - 1); {
	case from >= to:
	case e.Type == OtherEntry && strings.HasSuffix(f.word(to-2), ","): // a device: "8, 0" is major and minor number
		to -= 2
	case e.Type == OtherEntry && strings.Contains(size, ","):
		to--
	case endsInSize(size):
		glued, e.Size, ok = splitSize(size)
		to--
	}
	if n, isNumber := smallNumber(f.word(from)); isNumber && from < to {
		e.Links = n
		from++
	}
	if from < to {
		e.Owner = f.word(from)
		from++
	}
	if from >= to {
		e.Group = glued
		return ok
	}
	// A group may have several words, but none may begin with a digit: that would be a
	// column of a date that was not recognized.
	for i := from; i < to && to-from > 1; i++ {
		if word := f.word(i); isDigit(word[0]) {
			return false
		}
	}
	e.Group = f.line[f.at[from].from:f.at[to-1].to]
	if glued != "" {
		e.Group = strings.TrimSpace(e.Group + " " + glued)
	}
	return ok
}

// endsInSize reports whether s may be a size, or a group with a size after it without a blank.
func endsInSize(s string) bool {
	if s == "" {
		return false
	}
	return isDigit(s[len(s)-1]) || isRounded(s)
}

// isRounded reports whether s is a size such as 1.5K, as ls -h writes it.
func isRounded(s string) bool {
	i := 0
	for i < len(s) && (isDigit(s[i]) || s[i] == '.' || s[i] == ',') {
		i++
	}
	return i > 0 && i == len(s)-1 && isDigit(s[0]) && strings.IndexByte("KMGTPEB", s[i]) >= 0
}

// splitSize splits a size from the text before it, with no blank between them. If the size
// is negative or rounded, it is returned as unknown (-1). ok is false if it is garbled.
func splitSize(s string) (glued string, size int64, ok bool) {
	if isRounded(s) {
		return "", -1, true
	}
	i := len(s)
	for i > 0 && isDigit(s[i-1]) {
		i--
	}
	if i > 0 && isDigit(s[0]) {
		size, ok = parseGrouped(s)
		return "", size, ok
	}
	n, err := ParseOffset(s[i:])
	switch {
	case i > 0 && s[i-1] == '-':
		return s[:i-1], -1, true
	case i > 0 && strings.IndexByte(":,.;/+*=<>", s[i-1]) >= 0:
		return "", -1, false
	case err != nil:
		return s[:i], -1, true
	}
	return s[:i], n, true
}

// parseGrouped parses a number with or without commas between thousands.
func parseGrouped(s string) (int64, bool) {
	if strings.IndexByte(s, ',') >= 0 {
		for i := range len(s) {
			if isComma := (len(s)-i)%4 == 0; isComma != (s[i] == ',') || i == 0 && isComma {
				return -1, false
			}
		}
		s = strings.ReplaceAll(s, ",", "")
	}
	n, err := ParseOffset(s)
	if err != nil {
		return -1, false
	}
	return n, true
}
