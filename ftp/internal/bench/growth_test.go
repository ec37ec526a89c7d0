package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"miniftp/ftp/internal/peers"
)

// growing is a load in several sizes.
type growing struct {
	name   string // the name of the plot's file
	title  string
	axis   string
	sizes  []int64
	series []series
}

// series is a column of the table and a curve of the plot.
type series struct {
	name   string
	server string
	most   int64 // the largest size that is measured; 0 means all
	run    func(l *lab, t *target, size int64) (result, string)
	opts   peers.Options
	root   func(l *lab, size int64) string
	shown  []column
}

// column is a figure of a series.
type column struct {
	name  string
	of    func(r result, size float64) float64
	aside bool // whether it is only in the table
}

// growth measures how the cost grows, each size once.
func (l *lab) growth() string {
	var out strings.Builder
	var missing notes
	fmt.Fprintf(&out, "One run each; %s. Both axes of the plots are logarithmic.\n", setting())
	for _, g := range l.growths() {
		if strings.Contains(g.title, *only) {
			out.WriteString(l.grow(g, &missing))
			made, _ := filepath.Glob(filepath.Join(l.root, g.name+"-*"))
			for _, dir := range made {
				check(l.tb, os.RemoveAll(dir))
			}
		}
	}
	return out.String() + missing.String()
}

// grow runs one load in all its sizes. It draws the plot and returns the table.
func (l *lab) grow(g growing, missing *notes) string {
	var heads []string
	var cells [][]float64 // by column, by size
	var curves []curve
	for _, s := range g.series {
		first := len(heads)
		for _, c := range s.shown {
			heads = append(heads, strings.TrimSpace(s.name+" "+c.name))
			cells = append(cells, make([]float64, len(g.sizes)))
		}
		for i, size := range g.sizes {
			r, problem := l.growOnce(s, size)
			if problem != "" {
				missing.add("%s, %s, %s: %s", g.title, s.name, grouped(size), problem)
				say("%s, %s, %s: %s", g.title, s.name, grouped(size), problem)
				continue
			}
			for j, c := range s.shown {
				if r != nil {
					cells[first+j][i] = max(c.of(r, float64(size)), 0) // memory may shrink a little
				}
			}
			say("%s, %s: %s", g.title, s.name, grouped(size))
		}
		for j, c := range s.shown {
			if c.aside {
				continue
			}
			curve := curve{name: heads[first+j]}
			for i, size := range g.sizes {
				curve.points = append(curve.points, point{float64(size), cells[first+j][i]})
			}
			curves = append(curves, curve)
		}
	}
	file := "growth-" + g.name + ".svg"
	if *report != "" {
		check(l.tb, os.WriteFile(filepath.Join(filepath.Dir(*report), file), []byte(plot(g.title, g.axis, curves)), 0o644))
	}
	return fmt.Sprintf("\n### %s\n\n![%s](%s)\n\n%s", g.title, g.title, file, table(g.axis, heads, g.sizes, cells))
}

// growOnce starts a server and runs the load. It returns no result for a size that the series
// excludes.
func (l *lab) growOnce(s series, size int64) (r result, problem string) {
	if s.most > 0 && size > s.most {
		return nil, ""
	}
	sc := &scope{TB: l.tb}
	defer sc.close()
	if said := sc.try(func() {
		r, problem = s.run(l, l.serve(sc, s.server, s.root(l, size), s.opts), size)
	}); said != "" {
		return nil, said
	}
	return r, problem
}

// table returns a table with a line for each size.
func table(axis string, heads []string, sizes []int64, cells [][]float64) string {
	var out strings.Builder
	fmt.Fprintf(&out, "| %s | %s |\n%s|\n", axis, strings.Join(heads, " | "), strings.Repeat("|---", len(heads)+1))
	for i, size := range sizes {
		fmt.Fprintf(&out, "| %s |", grouped(size))
		for _, c := range cells {
			fmt.Fprintf(&out, " %s |", number(c[i]))
		}
		out.WriteString("\n")
	}
	return out.String()
}

// grouped formats a number with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// room reports whether a file of that size fits into the available memory.
func (l *lab) room(size int64) bool {
	b, err := os.ReadFile("/proc/meminfo")
	return err == nil && float64(size+2*gib) < 1024*statusField(string(b), "MemAvailable:")
}
