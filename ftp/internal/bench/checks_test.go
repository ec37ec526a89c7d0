package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		v                []float64
		median, furthest float64
	}{
		{nil, 0, 0},
		{[]float64{3}, 3, 0},
		{[]float64{9, 1, 2}, 2, 350},
		{[]float64{4, 1, 2, 3}, 2.5, 60},
		{[]float64{0, 0}, 0, 0},
	} {
		if got := median(tt.v); got != tt.median {
			t.Errorf("median(%v) = %v, want %v", tt.v, got, tt.median)
		}
		if got := spread(tt.v); got != tt.furthest {
			t.Errorf("spread(%v) = %v, want %v", tt.v, got, tt.furthest)
		}
	}
	v := []float64{2, 1}
	if median(v); v[0] != 2 {
		t.Error("median has sorted what it was given")
	}
}

// A ratio above 1 always means that miniftp is better. The mark is that of the highest bound reached.
func TestMark(t *testing.T) {
	for _, tt := range []struct {
		m      measure
		ours   float64
		theirs []float64
		ratio  float64
		mark   string
	}{
		{measure{cost: true, hold: 0.8, aim: 1}, 2, []float64{3, 0, 4}, 1.5, "aim"},
		{measure{cost: true, hold: 0.8, aim: 1}, 4, []float64{4, 3.5}, 0.875, "hold"},
		{measure{cost: true, hold: 0.8, aim: 1}, 4, []float64{2}, 0.5, "short"},
		{measure{hold: 2, aim: 8}, 8, []float64{1, 0}, 8, "aim"},
		{measure{hold: 2, aim: 8}, 8, []float64{3, 4}, 2, "hold"},
		{measure{hold: 2, aim: 8}, 3, []float64{3, 4}, 0.75, "short"},
		{measure{cost: true, hold: 15, aim: 5, fixed: true}, 5, []float64{1}, 0.2, "aim"},
		{measure{cost: true, hold: 15, aim: 5, fixed: true}, 6, nil, 0, "hold"},
		{measure{cost: true, hold: 15, aim: 5, fixed: true}, 16, []float64{32}, 2, "short"},
		{measure{cost: true, hold: 15, aim: 5, fixed: true}, 0, []float64{1}, 0, "–"},
		{measure{cost: true, hold: 1, aim: 2}, 0, []float64{1}, 0, "–"},
		{measure{cost: true, hold: 1, aim: 2}, 1, []float64{0, 0}, 0, "–"},
		{measure{cost: true}, 1, []float64{2}, 2, "–"},
	} {
		ratio := tt.m.ratio(tt.ours, tt.theirs)
		if mark := tt.m.mark(tt.ours, ratio); ratio != tt.ratio || mark != tt.mark {
			t.Errorf("%+v of %v beside %v: %v, %s; want %v, %s", tt.m, tt.ours, tt.theirs, ratio, mark, tt.ratio, tt.mark)
		}
	}
}

func TestLine(t *testing.T) {
	m := measure{"6 RETR 4 KiB, CPU", "µs", true, 0.75, 1, false}
	line, ratio := m.line([][]float64{{80, 100, 90}, {75}, nil, nil}, []string{"", "", "> 20", ""})
	if want := "| 6 RETR 4 KiB, CPU | µs | 90.0 | 75.0 | > 20 | – | 0.833 | ±11 % | ≥ 0.75 / 1 | hold |\n"; line != want || ratio != 75.0/90 {
		t.Errorf("%q, %v; want %q", line, ratio, want)
	}
	if columns := strings.Count(line, "|"); columns != strings.Count(strings.SplitAfter(head(make([]string, 4)), "\n")[0], "|") || columns != strings.Count(strings.SplitAfter(head(make([]string, 4)), "\n")[1], "|") {
		t.Errorf("the head does not fit the line %q:\n%s", line, head(make([]string, 4)))
	}
	m = measure{title: "13", cost: true, hold: 8, aim: 4, fixed: true}
	if line, _ = m.line([][]float64{{7}}, []string{""}); !strings.HasSuffix(line, "| ≤ 8 / 4 | hold |\n") {
		t.Errorf("%q", line)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "–", 0.0714: "0.071", 1.234: "1.23", 56.78: "56.8", 4873.4: "4873"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for n, want := range map[int64]string{1: "1", 999: "999", 1000: "1,000", 10_737_418_240: "10,737,418,240"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestParseLoad(t *testing.T) {
	failed := errors.New("exit status 1")
	for _, tt := range []struct {
		out  string
		err  error
		rate float64
		want string
	}{
		{`{"rows": [{"name": "login", "rate": 12.5, "unit": "/s"}]}`, nil, 12.5, ""},
		{`{"rows": [{"name": "mlsd", "left_out": "the server does not know MLSD"}]}`, nil, 0, "the server does not know MLSD"},
		{`{"rows": [{"name": "many", "n": 3, "failures": 2}]}`, nil, 0, "2 failed: said"},
		{`{"rows": [{"name": "data", "error": "cut off"}]}`, failed, 0, "cut off"},
		{`{"rows": [{"name": "data", "rate": 1}]}`, failed, 0, "exit status 1: said"},
		{`{"rows": []}`, failed, 0, "exit status 1: said"},
		{``, failed, 0, "exit status 1: said"},
	} {
		r, problem := parseLoad([]byte(tt.out), "said", tt.err)
		if problem != tt.want || r["rate"] != tt.rate || (r == nil) != (problem != "") {
			t.Errorf("%s: %v, %q; want %v, %q", tt.out, r, problem, tt.rate, tt.want)
		}
	}
}

// Only the text between the markers of a part is replaced.
func TestBlock(t *testing.T) {
	const old = "a\n<!-- one: begin -->\nold\n<!-- one: end -->\nb\n<!-- two: begin -->\nkept\n<!-- two: end -->\nc\n"
	name := filepath.Join(t.TempDir(), "page.md")
	check(t, os.WriteFile(name, []byte(old), 0o644))
	check(t, writeBlock(name, "one", "new\nlines\n\n"))
	got, err := os.ReadFile(name)
	check(t, err)
	if want := strings.Replace(old, "old\n", "new\nlines\n", 1); string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := writeBlock(name, "three", "new"); err == nil || !strings.Contains(err.Error(), "markers for three") {
		t.Errorf("no markers: %v", err)
	}
	if _, err := block("<!-- one: begin -->\n", "one", ""); err == nil {
		t.Error("a block without an end was replaced")
	}
}

// The report has markers for every part.
func TestReportHasMarkers(t *testing.T) {
	page, err := os.ReadFile("../../../docs/performance.md")
	check(t, err)
	for _, p := range parts {
		if _, err := block(string(page), p.name, ""); err != nil {
			t.Errorf("docs/performance.md: %v", err)
		}
	}
}

// The axes of a plot are logarithmic. Values that are not above zero are omitted.
func TestPlot(t *testing.T) {
	svg := plot("A & B", "sessions", []curve{
		{"KiB", []point{{1, 10}, {10, 100}, {100, 1000}}},
		{"<ms>", []point{{1, 0}, {10, 10}, {100, -1}}},
	})
	var shape struct {
		Title   string `xml:"title"`
		Circles []struct {
			Class string  `xml:"class,attr"`
			X     float64 `xml:"cx,attr"`
			Y     float64 `xml:"cy,attr"`
		} `xml:"circle"`
		Paths []struct {
			D string `xml:"d,attr"`
		} `xml:"path"`
		Texts []string `xml:"text"`
	}
	if err := xml.Unmarshal([]byte(svg), &shape); err != nil {
		t.Fatal(err)
	}
	if shape.Title != "A & B" || len(shape.Circles) != 4 || len(shape.Paths) != 2 {
		t.Fatalf("%+v", shape)
	}
	left, right, foot := shape.Circles[0], shape.Circles[2], shape.Circles[3]
	middle := shape.Circles[1]
	if left.X != leftEdge || right.X != sheetWide-rightEdge || middle.X != (left.X+right.X)/2 || middle.Y != (left.Y+right.Y)/2 {
		t.Errorf("the points are not on a straight line: %+v", shape.Circles)
	}
	if left.Y != sheetHigh-bottomEdge || right.Y != topEdge || foot.Y != left.Y || foot.X != middle.X || foot.Class != "c1" {
		t.Errorf("%+v", shape.Circles)
	}
	if got := strings.Join(shape.Texts, " "); !strings.Contains(got, "<ms>") || !strings.Contains(got, "1k") || !strings.Contains(got, "sessions") {
		t.Errorf("%q", got)
	}
	if svg = plot("none", "x", nil); xml.Unmarshal([]byte(svg), &shape) != nil {
		t.Errorf("%s", svg)
	}
}

// relayed returns a connection through a relay to a server of the test.
func relayed(t *testing.T, serve func(conn *net.TCPConn)) *net.TCPConn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn.(*net.TCPConn))
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-served
	})
	r := newRelay(t, 1)
	conn, err := net.Dial("tcp", r.forward(t, "127.0.0.1:0", ln.Addr().String()))
	check(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		if n := r.calls.Load(); n != 1 {
			t.Errorf("the relay counted %d connections", n)
		}
	})
	return conn.(*net.TCPConn)
}

// A relay changes no bytes in either direction, and one direction may end before the other.
func TestRelay(t *testing.T) {
	sent, answer := make([]byte, 5<<20+7), make([]byte, 3<<20+1)
	for i := range sent {
		sent[i] = byte(rand.Uint32())
	}
	copy(answer, sent[1000:])
	var got []byte
	conn := relayed(t, func(conn *net.TCPConn) {
		got, _ = io.ReadAll(conn) // to the end of one direction
		_, _ = conn.Write(answer)
	})
	_, err := conn.Write(sent)
	check(t, err)
	check(t, conn.CloseWrite())
	back, err := io.ReadAll(conn)
	check(t, err)
	if !bytes.Equal(back, answer) {
		t.Errorf("received an answer of %d bytes, want the %d bytes sent", len(back), len(answer))
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("received %d bytes, want the %d bytes sent", len(got), len(sent))
	}
}

// A connection that is reset on one side is reset on the other, so that a truncated file does not look
// complete.
func TestRelayCut(t *testing.T) {
	conn := relayed(t, func(conn *net.TCPConn) {
		_, _ = io.ReadFull(conn, make([]byte, 4))
		_ = conn.SetLinger(0)
	})
	_, err := conn.Write([]byte("data"))
	check(t, err)
	if b, err := io.ReadAll(conn); err == nil {
		t.Errorf("%d bytes, and the connection ended without a reset", len(b))
	}
}

// A relay that ends closes its connections.
func TestRelayEnds(t *testing.T) {
	s := &scope{TB: t}
	r := newRelay(s, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer ln.Close()
	conn, err := net.Dial("tcp", r.forward(s, "127.0.0.1:0", ln.Addr().String()))
	check(t, err)
	defer conn.Close()
	far, err := ln.Accept()
	check(t, err)
	defer far.Close()
	s.close()
	if _, err := io.ReadAll(far); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	_, _ = io.ReadAll(conn) // returns because the relay closes the connection
}

func TestScope(t *testing.T) {
	s := &scope{TB: t}
	var said []string
	problem := s.try(func() {
		s.Cleanup(func() { said = append(said, "first") })
		s.Cleanup(func() { said = append(said, "second") })
		s.Fatalf("it is %d\nand more", 3)
		said = append(said, "went on")
	})
	if problem != "it is 3" || len(said) != 0 {
		t.Errorf("%q, %q", problem, said)
	}
	dir := ""
	if problem = s.try(func() { dir = s.TempDir() }); problem != "" {
		t.Errorf("%q", problem)
	}
	s.close()
	if strings.Join(said, " ") != "second first" {
		t.Errorf("%q", said)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s: %v", dir, err)
	}
}

// An incomplete transfer has no time.
func TestCell(t *testing.T) {
	c := new(cell)
	c.add(&spent{wall: 1}, nil)
	c.add(&spent{wall: 20.01}, errLate)
	if c.word != "> 20" || c.why != "" || c.runs != nil {
		t.Errorf("%+v", c)
	}
	c = new(cell)
	c.add(&spent{wall: 1}, errors.New("3 files of 4"))
	if c.word != "failed" || c.why != "3 files of 4" || c.runs != nil {
		t.Errorf("%+v", c)
	}
	c = new(cell)
	if c.add(nil, nil); c.word != "–" || c.why != "" {
		t.Errorf("%+v", c)
	}
	dir := t.TempDir()
	check(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	check(t, os.WriteFile(filepath.Join(dir, "sub", "f1"), []byte("four"), 0o644))
	check(t, os.WriteFile(filepath.Join(dir, ".listing"), []byte("a client's own"), 0o644))
	if files, size, err := held(dir); files != 1 || size != 4 || err != nil {
		t.Errorf("%d files, %d bytes, %v", files, size, err)
	}
}
