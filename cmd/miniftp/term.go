package main

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

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := file(w)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth is the number of columns to draw in; 80 where nothing tells.
func terminalWidth(w any) int {
	if f, ok := file(w); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return 80
}

// file is the file behind a stream of the process, if it is one.
func file(w any) (*os.File, bool) {
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

// plainColour reports whether w may be sent escape sequences.
func plainColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// utf8Locale reports whether what we write is read as UTF-8 (POSIX: LC_ALL beats
// LC_CTYPE beats LANG).
func utf8Locale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(os.Getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return runtime.GOOS == "windows"
}

var screen = &runewidth.Condition{StrictEmojiNeutral: true} // lines are one cell wide, in every locale

func cells(s string) int { return screen.StringWidth(s) }

// pad fills s with blanks up to n columns.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(n-cells(s), 0)) }

// wrap breaks text between words; a word that is too long is broken itself.
func wrap(text string, width int) []string {
	var all []string
	line := ""
	for _, word := range strings.Fields(text) {
		for {
			sep := ""
			if line != "" {
				sep = " "
			}
			if cells(line)+len(sep)+cells(word) <= width {
				line += sep + word
				break
			}
			if line != "" {
				all = append(all, line)
				line = ""
				continue
			}
			head := screen.Truncate(word, width, "")
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

// fit cuts a name in the middle so that its end, which tells most, is kept. n is
// in columns.
func fit(s string, n int) string {
	if cells(s) <= n {
		return s
	}
	dots := "…"
	if !utf8Locale() {
		dots = "~"
	}
	head := screen.Truncate(s, n/3, "")
	tail := screen.TruncateLeft(s, cells(s)-(n-1-cells(head)), "")
	return head + dots + strings.TrimLeft(tail, " ") // half a wide character leaves a blank
}

func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }

func rate(n int64, took time.Duration) string {
	if took <= 0 {
		took = time.Microsecond
	}
	return humanize.Bytes(uint64(float64(n)/took.Seconds())) + "/s"
}

// span is a duration as people say it.
func span(d time.Duration) string {
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

// clock is a number of seconds as people read it.
func clock(s int64) string {
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", min(s/3600, 99), s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// toASCII is for terminals that read nothing else.
func toASCII(s string) string {
	return strings.Map(func(c rune) rune {
		if c > 0x7e {
			return '?'
		}
		return c
	}, s)
}

// right puts a word at the right end of a column.
func right(word string, width int) string {
	return strings.Repeat(" ", max(width-cells(word), 0)) + word
}

// three is a number in about three digits.
func three(v float64) string {
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

// grouped is a rate, whole and with commas where it is large.
func grouped(v float64) string {
	if v >= 1000 {
		return humanize.Comma(int64(math.Round(v)))
	}
	return three(v)
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func fileCount(n int64) string { return humanize.Comma(n) + " " + plural(n, "file", "files") }

func inSeconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return clock(int64(d.Seconds()+0.5)) + " min"
}
