// Package term helps to write text for terminals: it finds their width, measures and wraps text in columns, and
// formats sizes, rates and times for people.
//
// It depends on no other package of this module.
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

// Width returns the number of columns of the terminal w, else that of the variable COLUMNS, else 80.
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

// File returns the file that a stream writes to or reads from, if there is one.
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

// Colour reports whether escape sequences for colours and bold text may be written to w.
func Colour(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// UTF8 reports whether the locale uses UTF-8. As in POSIX, LC_ALL overrides LC_CTYPE, which overrides LANG.
func UTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(os.Getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return runtime.GOOS == "windows"
}

// screen treats characters for lines and boxes as one column wide, in every locale.
var screen = &runewidth.Condition{StrictEmojiNeutral: true}

// Cells returns the number of columns that s occupies.
func Cells(s string) int { return screen.StringWidth(s) }

// Truncate cuts s to n columns. If anything is cut, the result ends in tail.
func Truncate(s string, n int, tail string) string { return screen.Truncate(s, n, tail) }

// TruncateLeft cuts the first n columns off s.
func TruncateLeft(s string, n int) string { return screen.TruncateLeft(s, n, "") }

// Pad appends blanks to s up to n columns.
func Pad(s string, n int) string { return s + strings.Repeat(" ", max(n-Cells(s), 0)) }

// Wrap breaks text into lines of at most width columns, between words if possible.
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

// Fit cuts a name to n columns. It cuts in the middle, because the end tells most.
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
	return head + dots + strings.TrimLeft(tail, " ") // cutting a wide character in half leaves a blank
}

// Size formats a number of bytes for people, such as 12.8 kB.
func Size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

// Rate formats a rate for people, such as 1.2 MB/s.
func Rate(n int64, took time.Duration) string {
	if took <= 0 {
		took = time.Microsecond
	}
	return humanize.Bytes(uint64(float64(n)/took.Seconds())) + "/s"
}

// Span formats a duration for people, such as 12 ms or 3.4 s.
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

// Clock formats a number of seconds as 1:05 or 1:00:05.
func Clock(s int64) string {
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", min(s/3600, 99), s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// ASCII replaces each character that is not ASCII by a question mark.
func ASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if c > 0x7e {
			return '?'
		}
		return c
	}, s)
}

// PadLeft prepends blanks to word up to width columns.
func PadLeft(word string, width int) string {
	return strings.Repeat(" ", max(width-Cells(word), 0)) + word
}

// ThreeDigits formats a number with about three digits.
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

// Thousands formats a number with three digits or, if it is 1000 or more, as an integer with commas.
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

// FileCount formats a number of files, such as "1 file" or "1,204 files".
func FileCount(n int64) string { return humanize.Comma(n) + " " + Plural(n, "file", "files") }

// Seconds formats a duration as "3.2 s" or "1:05 min".
func Seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return Clock(int64(d.Seconds()+0.5)) + " min"
}
