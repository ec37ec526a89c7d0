package transfertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"miniftp/ftp/internal/testutil"
)

// modelEvents are the events in the middle of a run.
var modelEvents = map[string]func(w *World){
	"nothing":         func(*World) {},
	"another version": func(w *World) { w.change() },
	"another run":     func(w *World) { w.judge(w.Way.tries()(w.t.Context(), w)) },
	"another version, and another run": func(w *World) {
		w.change()
		w.judge(w.Way.tries()(w.t.Context(), w))
	},
	"another run that breaks": func(w *World) {
		w.mu.Lock()
		at, do, end := w.at, w.do, w.end
		w.at, w.do, w.end, w.disturb = 10_000, func(*World) {}, "cut", true
		w.mu.Unlock()
		if w.Way.tries()(w.t.Context(), w) == nil {
			w.t.Error("a run that was cut off returned no error")
		}
		w.mu.Lock()
		w.at, w.do, w.end, w.disturb = at, do, end, false
		w.mu.Unlock()
	},
	"a file of the user's": func(w *World) { w.plant(".f.part") },
}

// Model runs all ways, to a destination with and without regard to case, with all events and ends.
func Model(t *testing.T, ways []Way) {
	testutil.Long(t)
	moments := []int{5000, modelSize}
	if testutil.Soaking {
		moments = []int{0, 1, 4096, 5000, 12_000, 20_000, modelSize}
	}
	for _, way := range append(slices.Clone(ways), folded(ways)...) {
		t.Run(way.Name, func(t *testing.T) {
			for event, do := range modelEvents {
				for _, end := range []string{"finish", "cut", "cancel"} {
					for _, at := range moments {
						if at == modelSize && end != "finish" && len(moments) == 2 {
							continue
						}
						t.Run(fmt.Sprintf("%s at %d, %s", event, at, end), func(t *testing.T) {
							t.Parallel()
							w := newWorld(t, way)
							w.trial(at, do, end)
							w.last()
						})
					}
				}
			}
			w := newWorld(t, way)
			w.plant(".f.part") // it exists before the run
			w.trial(12_000, func(*World) {}, "cut")
			w.last()
		})
	}
}

// ModelLong makes many runs in a row, each disturbed at random.
func ModelLong(t *testing.T, ways []Way) {
	if !testutil.Soaking {
		t.Skip("set MINIFTP_SOAK=1 to run this test")
	}
	var events []string
	for name := range modelEvents {
		if !strings.HasPrefix(name, "a file") {
			events = append(events, name)
		}
	}
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		way := ways[r.IntN(len(ways))]
		t.Run(fmt.Sprintf("%d %s", seed, way.Name), func(t *testing.T) {
			w := newWorld(t, way)
			for range 6 {
				w.trial(r.IntN(modelSize+1), modelEvents[events[r.IntN(len(events))]], []string{"finish", "cut", "cancel"}[r.IntN(3)])
			}
			w.last()
		})
	}
}
