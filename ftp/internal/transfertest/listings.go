package transfertest

import (
	"fmt"
	"io"
	"testing"

	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// cutListing says how one listing of a mirror breaks off.
type cutListing struct {
	nth    int    // which LIST of the run it is
	keeps  int    // bytes that come
	ending string // the reply; "": the connection is closed
}

// ModelListings drives a mirror that deletes. If one of its listings breaks off, whichever side
// was listed, it removes nothing that the source has, and the next run makes the destination
// whole.
func ModelListings(t *testing.T, mirror Run) {
	testutil.Long(t)
	for _, up := range []bool{false, true} {
		for _, folds := range []bool{false, true} {
			way := Way{Name: fmt.Sprintf("up %v, folded %v", up, folds), Up: up, Folds: folds, Run: mirror}
			for nth := range 3 {
				for _, keeps := range []int{0, 20, 43, 44, 1000} {
					for _, ending := range []string{"426 broken", "451 local error", "226 done", "226 Output truncated", ""} {
						cut := cutListing{nth, keeps, ending}
						t.Run(fmt.Sprintf("%s, LIST %d after %d, %q", way.Name, nth, keeps, ending), func(t *testing.T) {
							t.Parallel()
							w := newWorld(t, way)
							w.mu.Lock()
							w.cut, w.had = &cut, w.now
							w.mu.Unlock()
							w.judge(way.Run(t.Context(), w))
							w.mu.Lock()
							w.cut = nil
							w.mu.Unlock()
							w.last()
							before := w.fake.Count("RETR")
							w.judge(way.Run(t.Context(), w))
							if w.fake.Count("RETR") != before {
								t.Error("a file that is the same was fetched again")
							}
						})
					}
				}
			}
		}
	}
}

// list answers LIST. One that is to break off does.
func (w *World) list(s *fakeserver.Session, arg string) {
	w.mu.Lock()
	cut := w.cut
	mine := cut != nil && w.lists == cut.nth
	w.lists++
	w.mu.Unlock()
	if !mine {
		s.Behave("LIST", arg)
		return
	}
	text, _ := w.fake.Dir("/s")
	if w.Way.Up {
		text, _ = w.fake.Dir("/d")
	}
	s.Say("150 here it comes")
	c := s.Data()
	_, _ = io.WriteString(c, text[:min(cut.keeps, len(text))])
	_ = c.Close()
	if cut.ending == "" {
		_ = s.Conn.Close()
		return
	}
	s.Say(cut.ending)
}
