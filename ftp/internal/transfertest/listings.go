package transfertest

import (
	"fmt"
	"io"
	"testing"

	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/testutil"
)

// cutListing describes how one listing of a mirror is cut short.
type cutListing struct {
	nth    int    // index of the LIST in the run
	keeps  int    // bytes that are sent
	ending string // the final reply; "": the connection is closed
}

// ModelListings runs a mirror that deletes. If one of its listings is cut short, on either side, the run must not
// remove anything that the source has, and the next run must complete the destination.
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
								t.Error("an unchanged file was fetched again")
							}
						})
					}
				}
			}
		}
	}
}

// list answers LIST, cut short if it is the one in w.cut.
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
