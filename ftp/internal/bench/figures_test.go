package bench

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// measure describes a figure and its goals.
type measure struct {
	title, unit string
	cost        bool    // whether less is better
	hold, aim   float64 // bounds for the ratio to the best peer or, if fixed, for our figure; 0 means none
	fixed       bool
}

// ratio returns the ratio of our figure to that of the best peer. Above 1, ours is better. It is 0 if
// one of them is unknown.
func (m measure) ratio(ours float64, theirs []float64) float64 {
	best := 0.0
	for _, v := range theirs {
		if v > 0 && (best == 0 || (v < best) == m.cost) {
			best = v
		}
	}
	switch {
	case best == 0 || ours <= 0:
		return 0
	case m.cost:
		return best / ours
	}
	return ours / best
}

// mark returns a mark that shows whether hold and aim were reached.
func (m measure) mark(ours, ratio float64) string {
	reached := func(bound float64) bool { return ratio >= bound }
	v := ratio
	if m.fixed {
		reached = func(bound float64) bool { return ours <= bound }
		v = ours
	}
	switch {
	case m.aim == 0 || v <= 0:
		return "–"
	case reached(m.aim):
		return "aim"
	case reached(m.hold):
		return "hold"
	}
	return "short"
}

// goal describes hold and aim.
func (m measure) goal() string {
	if m.aim == 0 {
		return "–"
	}
	sign := "≥"
	if m.fixed {
		sign = "≤"
	}
	return fmt.Sprintf("%s %g / %g", sign, m.hold, m.aim)
}

// line returns a row of a table, and its ratio. The first column is ours. A missing figure is
// replaced by its word, if there is one.
func (m measure) line(columns [][]float64, words []string) (line string, ratio float64) {
	var out strings.Builder
	fmt.Fprintf(&out, "| %s | %s |", m.title, m.unit)
	mids := make([]float64, len(columns))
	for i, v := range columns {
		mids[i] = median(v)
		cell := number(mids[i])
		if mids[i] == 0 && words[i] != "" {
			cell = words[i]
		}
		fmt.Fprintf(&out, " %s |", cell)
	}
	ratio = m.ratio(mids[0], mids[1:])
	fmt.Fprintf(&out, " %s | ±%.0f %% | %s | %s |\n", number(ratio), spread(columns[0]), m.goal(), m.mark(mids[0], ratio))
	return out.String(), ratio
}

// head returns the head of a table of such rows.
func head(columns []string) string {
	return "| measure | unit | " + strings.Join(columns, " | ") + " | ratio | spread | hold / aim | reached |\n" +
		strings.Repeat("|---", len(columns)+6) + "|\n"
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	if len(v) == 0 {
		return 0
	}
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// spread returns the largest distance from the median, in percent.
func spread(v []float64) float64 {
	mid, far := median(v), 0.0
	if mid == 0 {
		return 0
	}
	for _, x := range v {
		far = max(far, 100*max(x-mid, mid-x)/mid)
	}
	return far
}

// number formats a figure with about three digits, or as a dash if it is missing.
func number(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// setting describes the machine and the programs of the measurement.
func setting() string {
	kernel := runtime.GOOS
	if b, err := exec.Command("uname", "-sr").Output(); err == nil {
		kernel = strings.TrimSpace(string(b))
	}
	return fmt.Sprintf("%s, %s, %d processors, loopback, files in memory", kernel, runtime.Version(), runtime.NumCPU())
}

// notes returns the reasons for empty cells, each once.
type notes []string

func (n *notes) add(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); !slices.Contains(*n, s) {
		*n = append(*n, s)
	}
}

func (n notes) String() string {
	if len(n) == 0 {
		return ""
	}
	return "\nWhat is missing:\n\n- " + strings.Join(n, "\n- ") + "\n"
}
