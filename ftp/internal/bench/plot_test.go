package bench

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// point is a point of a curve.
type point struct{ x, y float64 }

// curve is a line of a plot.
type curve struct {
	name   string
	points []point
}

// The sizes of a plot, in pixels.
const (
	sheetWide, sheetHigh = 800, 480
	leftEdge, rightEdge  = 70, 30
	topEdge, bottomEdge  = 90, 60
)

// axis maps powers of ten to pixels.
type axis struct {
	lo, hi   int // exponents of ten
	from, to float64
}

func newAxis(values []float64, from, to float64) axis {
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		least, most = min(least, v), max(most, v)
	}
	a := axis{int(math.Floor(math.Log10(least))), int(math.Ceil(math.Log10(most))), from, to}
	if a.hi == a.lo {
		a.hi++
	}
	return a
}

func (a axis) at(v float64) float64 {
	return a.from + (a.to-a.from)*(math.Log10(v)-float64(a.lo))/float64(a.hi-a.lo)
}

// plot returns an SVG with curves on logarithmic axes, for light and dark pages. Values that are not
// above zero are omitted.
func plot(title, xName string, curves []curve) string {
	var xs, ys []float64
	for i := range curves {
		var seen []point
		for _, p := range curves[i].points {
			if p.x > 0 && p.y > 0 {
				seen = append(seen, p)
				xs, ys = append(xs, p.x), append(ys, p.y)
			}
		}
		curves[i].points = seen
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`, sheetWide, sheetHigh, sheetWide, sheetHigh)
	fmt.Fprintf(&out, "\n<title>%s</title>\n%s", html.EscapeString(title), plotStyle)
	fmt.Fprintf(&out, "<text x=\"%d\" y=\"28\" class=\"title\">%s</text>\n", leftEdge, html.EscapeString(title))
	if len(xs) > 0 {
		x := newAxis(xs, leftEdge, sheetWide-rightEdge)
		y := newAxis(ys, sheetHigh-bottomEdge, topEdge)
		grid(&out, x, y)
		for i, c := range curves {
			c.draw(&out, i, x, y)
		}
	}
	fmt.Fprintf(&out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n</svg>\n", sheetWide-rightEdge, sheetHigh-14, html.EscapeString(xName))
	return out.String()
}

const plotStyle = `<style>
svg { background: #ffffff; color: #1f2328; font: 14px system-ui, "DejaVu Sans", sans-serif; }
text { fill: currentColor; } .title { font-weight: bold; } .grid { stroke: #d0d7de; }
.c0 { --c: #0969da; } .c1 { --c: #cf222e; } .c2 { --c: #1a7f37; } .c3 { --c: #8250df; } .c4 { --c: #9a6700; }
path { stroke: var(--c); fill: none; stroke-width: 2; } circle { fill: var(--c); } text[class^=c] { fill: var(--c); }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; color: #e6edf3; } .grid { stroke: #30363d; }
  .c0 { --c: #58a6ff; } .c1 { --c: #f85149; } .c2 { --c: #3fb950; } .c3 { --c: #bc8cff; } .c4 { --c: #d29922; }
}
</style>
`

// grid draws a line and a number for each decade.
func grid(out *strings.Builder, x, y axis) {
	for d := x.lo; d <= x.hi; d++ {
		at := x.at(math.Pow10(d))
		fmt.Fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", at, y.from, at, y.to, at, y.from+20, decade(d))
	}
	for d := y.lo; d <= y.hi; d++ {
		at := y.at(math.Pow10(d))
		fmt.Fprintf(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", x.from, at, x.to, at, x.from-8, at+5, decade(d))
	}
}

// decade formats a power of ten.
func decade(d int) string {
	switch {
	case d >= 9:
		return fmt.Sprintf("%gG", math.Pow10(d-9))
	case d >= 6:
		return fmt.Sprintf("%gM", math.Pow10(d-6))
	case d >= 3:
		return fmt.Sprintf("%gk", math.Pow10(d-3))
	}
	return fmt.Sprintf("%g", math.Pow10(d))
}

// draw draws the i-th curve, and its name above the plot.
func (c curve) draw(out *strings.Builder, i int, x, y axis) {
	const row, each, high = 3, 230, 20
	color := i % 5
	fmt.Fprintf(out, "<text class=\"c%d\" x=\"%d\" y=\"%d\">%s</text>\n", color, leftEdge+i%row*each, 52+i/row*high, html.EscapeString(c.name))
	path := ""
	for j, p := range c.points {
		step := " L"
		if j == 0 {
			step = "M"
		}
		path += fmt.Sprintf("%s%.1f %.1f", step, x.at(p.x), y.at(p.y))
		fmt.Fprintf(out, "<circle class=\"c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n", color, x.at(p.x), y.at(p.y))
	}
	if path != "" {
		fmt.Fprintf(out, "<path class=\"c%d\" d=\"%s\"/>\n", color, path)
	}
}
