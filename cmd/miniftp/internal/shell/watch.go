package shell

import (
	"io"
	"sync"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/record"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/watch"
	"miniftp/ftp"
)

// watchers are told what happens on the connections of a shell. Lines of it put them on
// and off, so they are asked anew for every event.
type watchers struct {
	mu      sync.Mutex
	w       io.Writer
	verbose ftp.Observer // nil: off
	record  ftp.Observer
	ladder  *explain.Ladder
	met     map[uint64]bool // what the ladder has heard of
}

// newWatchers are those that the flags of the shell ask for.
func newWatchers(e *verb.Env, c *cli.Context, w io.Writer) (*watchers, error) {
	s := &watchers{w: w}
	if c.Bool("verbose") {
		s.verbose = watch.WireLog(w)
	}
	if name := c.String("record"); name != "" {
		rec, err := record.New(e, name)
		if err != nil {
			return nil, err
		}
		s.record = rec
	}
	if name := explain.PictureName(c); c.Bool("explain") || name != "" {
		s.explain(e, name)
	}
	return s, nil
}

// explain draws from now on, in a file if it is named.
func (s *watchers) explain(e *verb.Env, name string) {
	l := explain.NewLadder(s.w, term.Width(e.Err))
	if name != "" {
		l = explain.NewPicture(name, "miniftp shell").Ladder()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ladder, s.met = l, map[uint64]bool{}
}

// dontExplain ends the drawing, and saves it if it has a file.
func (s *watchers) dontExplain() error {
	s.mu.Lock()
	l := s.ladder
	s.ladder = nil
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.Page.Save()
}

// speak puts the wire log on or off.
func (s *watchers) speak(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verbose = nil
	if on {
		s.verbose = watch.WireLog(s.w)
	}
}

// state tells what is on.
func (s *watchers) state() (verbose, explain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verbose != nil, s.ladder != nil
}

// Observe passes an event on. A ladder that was put on late hears first that the
// connection stands.
func (s *watchers) Observe(e ftp.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verbose != nil {
		s.verbose.Observe(e)
	}
	if s.record != nil {
		s.record.Observe(e)
	}
	if s.ladder == nil {
		return
	}
	if !s.met[e.Control.ID] {
		switch h := e.What.(type) {
		case ftp.ControlOpened, ftp.DialFailed:
		case ftp.CommandGiven:
			if h.Command.Verb == "QUIT" {
				return // nothing came before it that is drawn
			}
			s.ladder.Observe(ftp.Event{At: e.At, Control: e.Control, What: ftp.ControlOpened{}})
		default:
			return
		}
	}
	s.met[e.Control.ID] = true
	s.ladder.Observe(e)
}
