// Package term writes text for terminals: it knows their width, how many columns a text takes,
// and how people read sizes, rates and times.
//
// It stands on nothing of this module, and must not know what is written.
package term

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// IsTerminal reports whether w is a terminal.
func IsTerminal(w any) bool {
	f, ok := File(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width returns the number of columns of the terminal w; 80 if nothing tells.
func Width(w any) int {
	if f, ok := File(w); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return 80
}

// File returns the file below a stream, if there is one.
func File(w any) (*os.File, bool) {
	for {
		around, ok := w.(interface{ Unwrap() io.Writer })
		if !ok {
			break
		}
		w = around.Unwrap()
	}
	f, ok := w.(*os.File)
	return f, ok
}

// Colour reports whether w may be sent escape sequences.
func Colour(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// UTF8 reports whether what we write is read as UTF-8 (POSIX: LC_ALL beats
// LC_CTYPE beats LANG).
func UTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(os.Getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return runtime.GOOS == "windows"
}

// screen takes the characters of lines and boxes for one column wide, in every locale.
var screen = &runewidth.Condition{StrictEmojiNeutral: true}

// Cells returns the number of columns that s takes.
func Cells(s string) int { return screen.StringWidth(s) }

// Truncate cuts s to n columns, the last of which are tail if anything is cut.
func Truncate(s string, n int, tail string) string { return screen.Truncate(s, n, tail) }

// TruncateLeft cuts the first n columns off s.
func TruncateLeft(s string, n int) string { return screen.TruncateLeft(s, n, "") }

// Pad fills s with blanks up to n columns, at its end.
func Pad(s string, n int) string { return s + strings.Repeat(" ", max(n-Cells(s), 0)) }

// Wrap breaks text between words; a word that is too long is broken itself.
func Wrap(text string, width int) []string {
	var all []string
	line := ""
	for _, word := range strings.Fields(text) {
		for {
			sep := ""
			if line != "" {
				sep = " "
			}
			if Cells(line)+len(sep)+Cells(word) <= width {
				line += sep + word
				break
			}
			if line != "" {
				all = append(all, line)
				line = ""
				continue
			}
			head := Truncate(word, width, "")
			if head == "" {
				head = word // one character, wider than the column
			}
			all, word = append(all, head), strings.TrimPrefix(word, head)
			if word == "" {
				break
			}
		}
	}
	if line != "" || len(all) == 0 {
		all = append(all, line)
	}
	return all
}

// Fit cuts a name in the middle so that its end, which tells most, is kept. n is
// in columns.
func Fit(s string, n int) string {
	if Cells(s) <= n {
		return s
	}
	dots := "…"
	if !UTF8() {
		dots = "~"
	}
	head := Truncate(s, n/3, "")
	tail := TruncateLeft(s, Cells(s)-(n-1-Cells(head)))
	return head + dots + strings.TrimLeft(tail, " ") // half a wide character leaves a blank
}

// Size returns a number of bytes as people read it, such as 12.8 kB.
func Size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// Rate returns how fast n bytes were moved, such as 1.2 MB/s.
func Rate(n int64, took time.Duration) string {
	if took <= 0 {
		took = time.Microsecond
	}
	return humanize.Bytes(uint64(float64(n)/took.Seconds())) + "/s"
}

// Span returns a duration as people say it, such as 12 ms or 3.4 s.
func Span(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// Clock returns a number of seconds as 1:05 or 1:00:05.
func Clock(s int64) string {
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", min(s/3600, 99), s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// ASCII replaces all that is not ASCII, for terminals that read nothing else.
func ASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if c > 0x7e {
			return '?'
		}
		return c
	}, s)
}

// PadLeft fills a word with blanks up to width columns, at its beginning.
func PadLeft(word string, width int) string {
	return strings.Repeat(" ", max(width-Cells(word), 0)) + word
}

// ThreeDigits returns a number in about three digits.
func ThreeDigits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.9995:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// Thousands returns a rate, in three digits or, if it is large, whole and with commas.
func Thousands(v float64) string {
	if v >= 1000 {
		return humanize.Comma(int64(math.Round(v)))
	}
	return ThreeDigits(v)
}

// Plural returns one if n is 1, and many otherwise.
func Plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// FileCount returns "1 file" or "1,204 files".
func FileCount(n int64) string { return humanize.Comma(n) + " " + Plural(n, "file", "files") }

// Seconds returns a duration as "3.2 s" or "1:05 min".
func Seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return Clock(int64(d.Seconds()+0.5)) + " min"
}
