package ftp

import "strings"

// isHeading reports whether a line is a heading or a total rather than an entry.
func (p *ListParser) isHeading(line string) bool {
	f := splitWords(line)
	first := strings.ToLower(f.word(0))
	switch {
	case isSum(&f, first):
		return true
	case first == "directory" && strings.HasSuffix(strings.TrimRight(line, " "), "]"), // OpenVMS
		strings.HasPrefix(line, "%DIRECT-W-NOFILES"):
		return true
	case f.n == 1 && strings.Contains(f.word(0), ":[") && strings.HasSuffix(f.word(0), "]"): // OpenVMS with MultiNet
		return true
	case strings.HasPrefix(line, " Volume in drive "), strings.HasPrefix(line, " Volume Serial Number is "),
		strings.HasPrefix(line, " Directory of "): // MS-DOS
		return true
	case first == "file" && f.word(1) == "Code" && f.word(2) == "EOF": // NonStop
		return true
	case first == "jobname" && f.word(1) == "JOBID": // JES
		p.members = false
		return true
	case first == "volume" && f.word(1) == "Unit": // MVS data sets
		p.members = false
		return true
	case first == "name" && (f.word(1) == "VV.MM" || f.word(1) == "Size" && f.word(2) == "TTR"):
		p.members = true
		return true
	}
	// ls -R writes the name of each directory with a colon.
	return strings.HasSuffix(line, ":") && len(line) > 1 && (strings.HasPrefix(line, "/") || strings.HasPrefix(line, ".") || f.n == 1)
}

// isSum reports whether a line is the total of a listing: "total 12" of ls,
// "Total of 3 files, 10 blocks." and "Total 3 files" of OpenVMS, "6 files  75,978
// bytes" and "3 directories  22,198 bytes free" of MS-DOS.
func isSum(f *words, first string) bool {
	second := f.word(1)
	switch {
	case f.n == 2 && isTotal(first):
		second = strings.TrimPrefix(second, "-") // the sum overflowed
		return second != "" && isDigit(second[0])
	case first == "grand" && strings.EqualFold(second, "total"):
		return strings.EqualFold(f.word(2), "of") && f.n > 4 && isCount(f.word(3))
	case first == "total" && strings.EqualFold(second, "of"):
		return f.n > 3 && isCount(f.word(2)) && isCounted(f.word(3))
	case first == "total" && f.n == 3:
		return isCount(second) && isCounted(f.word(2))
	}
	return f.n >= 4 && f.n <= 5 && isCount(first) && isCounted(second) && isCount(f.word(2)) &&
		strings.EqualFold(f.word(3), "bytes") && (f.n == 4 || strings.EqualFold(f.word(4), "free"))
}

// isCount reports whether s is a number, with or without commas.
func isCount(s string) bool {
	_, ok := parseGrouped(s)
	return ok
}

// isCounted reports whether s is a word for what a total counts, such as "files".
func isCounted(s string) bool {
	switch strings.ToLower(strings.TrimRight(s, ",.")) {
	case "file", "files", "file(s)", "dir", "dirs", "dir(s)", "directory", "directories", "block", "blocks", "entries":
		return true
	}
	return false
}

func isTotal(word string) bool {
	switch word {
	case "total", "totale", "totaal", "totalt", "insgesamt", "summe", "razem", "celkem", "yhteensä", "toplam", "összesen",
		"итого", "всего", "合計", "总计", "总用量":
		return true
	}
	return false
}
