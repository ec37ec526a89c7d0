package explain

import (
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp"
)

// TestPictures: the picture of every play has all texts of its ladder.
func TestPictures(t *testing.T) {
	for _, p := range plays() {
		l := NewPicture("x.svg", "miniftp get "+hostileTitle).Ladder()
		for _, e := range p.events {
			l.Observe(e)
		}
		text := verbtest.Words(t, l.Page.svg())
		for _, r := range l.Page.rungs {
			for _, want := range []string{r.label, r.left} {
				i := strings.Index(text, fitted(l.Page.pen.Clean(want), 24))
				if i < 0 {
					t.Errorf("%s: no %q in\n%s", p.name, want, text)
				}
			}
		}
		if len(l.Page.rungs) == 0 || !strings.Contains(text, "server") {
			t.Errorf("%s: the picture is empty", p.name)
		}
	}
}

const hostileTitle = `</title><script>alert(1)</script>&amp;"'`

// TestPictureIsBounded: the number of rungs in a picture is limited, and it says how many are left out.
func TestPictureIsBounded(t *testing.T) {
	p := NewPicture("x.svg", "")
	for range mostRungs + 7 {
		p.add(rung{label: "data"})
	}
	if text := verbtest.Words(t, p.svg()); !strings.Contains(text, "and 7 more steps") || strings.Count(text, "data\n") != mostRungs {
		t.Errorf("the picture has %d rungs, want %d", strings.Count(text, "data\n"), mostRungs)
	}
}

// TestLadderKeepsTransfersTogether: if several transfers run at once, each is drawn as a whole when it ends.
func TestLadderKeepsTransfersTogether(t *testing.T) {
	var drawn strings.Builder
	l := NewLadder(&drawn, 100)
	other := controlOf(2, ftp.UserPI, "127.0.0.1:51235", "127.0.0.1:2121")
	var events [2][]ftp.Event
	for i, c := range []*ftp.Control{atClient, other} {
		events[i] = during(c, says("EPSV", ""), answers("EPSV", 229, "(|||40017|)"),
			ftp.DataOffered{Mode: ftp.Passive, Stance: ftp.Dials, Said: "229"}, says("RETR", "/f"),
			ftp.DataOpened{Mode: ftp.Passive, Stance: ftp.Dials}, answers("RETR", 226, "done"), ftp.TransferDone{Verb: "RETR", Bytes: 1})
	}
	for i := range events[0] {
		l.Observe(events[0][i])
		l.Observe(events[1][i])
	}
	var order []string
	for line := range strings.Lines(drawn.String()) {
		if tag, rest, ok := strings.Cut(line, " "); ok && strings.HasPrefix(tag, "#") && !strings.Contains(rest, "control") {
			order = append(order, tag)
		}
	}
	if got := strings.Join(order, ""); strings.Contains(strings.TrimLeft(got, "#1"), "#1#") && strings.Contains(got, "#1#2#1") {
		t.Errorf("the rungs of the transfers are mixed:\n%s", drawn.String())
	}
	if len(order) != 11 && len(order) != 12 {
		t.Errorf("%d rungs:\n%s", len(order), drawn.String())
	}
}
