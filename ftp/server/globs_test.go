package server_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"miniftp/fsroot"
)

// A search in a slow directory does not block the session: NOOP is answered and ABOR stops the search. A
// listing in a reply keeps its turn.
func TestGlobRunsBesideTheSession(t *testing.T) {
	for _, cmd := range []string{"NLST *.none", "LIST f*", "STAT *.none", "STAT /"} {
		goOn := make(chan struct{})
		fsys := madeUp{Fs: fsroot.NewMem(), entries: 1 << 30, more: func(int) error { <-goOn; return nil }}
		c := serve(t, fsys).login(t, "ro")
		c.cmd("EPSV", 229)
		c.send(cmd)
		if strings.HasPrefix(cmd, "STAT") {
			c.send("NOOP")
		} else {
			c.cmd("NOOP", 200)
		}
		c.send("ABOR")
		close(goOn)
		if cmd == "STAT /" {
			c.want(426, 212) // it is bounded and may have ended before ABOR is read
		} else {
			c.want(426)
		}
		if strings.HasPrefix(cmd, "STAT") {
			c.want(200)
		}
		c.want(226)
		c.cmd("PWD", 257)
	}
}

// Patterns that took other servers very long are answered at once.
func TestCostlyPatterns(t *testing.T) {
	fsys, dir := disk(t)
	long := strings.Repeat("a", 255)
	for _, name := range []string{long, "b", "{a,b}", "sub/x"} {
		write(t, fsys, "/"+name, "")
	}
	for i := range 500 {
		check(t, os.WriteFile(dir+"/"+strings.Repeat("a", 200)+fmt.Sprintf("%s%03d", strings.Repeat("b", i%50), i), nil, 0o644))
	}
	c := serve(t, fsys).login(t, "ro")
	for _, pattern := range []string{
		strings.Repeat("*a", 1500) + "z",
		strings.Repeat("*", 4000) + "z",
		strings.Repeat("[a-b]*", 600) + "z",
		strings.Repeat("{a,b}", 800),
		strings.Repeat("{", 4000) + strings.Repeat("}", 4000),
		strings.Repeat("?", 300),
		strings.Repeat("[", 4000), "[]", "[-]", "[a-", "\\", "[\\",
		strings.Repeat("*/../", 1000) + "none*",
		strings.Repeat("a/", 3000) + "*",
	} {
		for _, cmd := range []string{"NLST ", "LIST ", "LIST -R ", "STAT "} {
			if r := c.cmd(cmd+pattern, 550, 553); len(r.Text()) > 9000 {
				t.Errorf("%s%.20s: a reply of %d bytes", cmd, pattern, len(r.Text()))
			}
		}
	}
}

// Only the last component of a path is a pattern; ".." before it stays in the tree; and the listed names can be
// used in the next command.
func TestPatternsAndDotDot(t *testing.T) {
	fsys := fsroot.NewMem()
	write(t, fsys, "/d/x", "1")
	write(t, fsys, "/e", "2")
	c := serve(t, fsys).login(t, "ro")
	for cmd, want := range map[string]string{
		"NLST */../*": "*/../d */../e", "NLST ../../*": "../../d ../../e", "NLST d/../e*": "d/../e", "NLST d/*": "d/x", "NLST */x": "",
	} {
		if want == "" {
			c.cmd(cmd, 550)
			continue
		}
		got := c.lines(cmd)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", cmd, got, want)
		}
		for _, name := range got {
			c.cmd("MDTM "+name, 213, 550)
		}
	}
}

// LIST -R does not follow links, so it ends in spite of loops.
func TestRecursionThroughLinks(t *testing.T) {
	fsys, dir := disk(t)
	write(t, fsys, "/a/b/file", "x")
	for name, target := range map[string]string{"self": ".", "a/up": "..", "a/b/top": "../..", "x": "y", "y": "x", "out": "/"} {
		check(t, os.Symlink(target, dir+"/"+name))
	}
	c := serve(t, fsys).login(t, "ro")
	var headings []string
	for _, line := range c.lines("LIST -aR") {
		if strings.HasSuffix(line, ":") {
			headings = append(headings, line)
		}
	}
	if want := []string{".:", "a:", "a/b:"}; !slices.Equal(headings, want) {
		t.Errorf("LIST -R went through %q, want %q", headings, want)
	}
	for _, link := range []string{"x", "self/self/self/x", "a/up/a/up/y"} {
		c.cmd("MLST "+link, 250)
		c.cmd("SIZE "+link, 550)
	}
}
