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

// watchers observes all connections of a shell. Commands of the shell turn its parts on and off at
// any time.
type watchers struct {
	mu      sync.Mutex
	w       io.Writer
	verbose ftp.Observer // nil if off
	record  ftp.Observer
	ladder  *explain.Ladder
	drawn   map[uint64]bool // the connections that ladder has drawn, by ID
}

// newWatchers returns watchers with the parts that the flags of the shell turn on.
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

// explain starts a drawing: on w or, if name is not empty, in that file.
func (s *watchers) explain(e *verb.Env, name string) {
	l := explain.NewLadder(s.w, term.Width(e.Err))
	if name != "" {
		l = explain.NewPicture(name, "miniftp shell").Ladder()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ladder, s.drawn = l, map[uint64]bool{}
}

// stopExplaining ends the drawing. It saves it if it has a file.
func (s *watchers) stopExplaining() error {
	s.mu.Lock()
	l := s.ladder
	s.ladder = nil
	s.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.Page.Save()
}

// setVerbose turns the wire log on or off.
func (s *watchers) setVerbose(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verbose = nil
	if on {
		s.verbose = watch.WireLog(s.w)
	}
}

// state reports which parts are on.
func (s *watchers) state() (verbose, explain bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verbose != nil, s.ladder != nil
}

// Observe passes e to the parts that are on. A ladder that was turned on later first gets an event
// that says that the connection is open.
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
	if !s.drawn[e.Control.ID] {
		switch h := e.What.(type) {
		case ftp.ControlOpened, ftp.DialFailed:
		case ftp.CommandGiven:
			if h.Command.Verb == "QUIT" {
				return // nothing of this connection has been drawn
			}
			s.ladder.Observe(ftp.Event{At: e.At, Control: e.Control, What: ftp.ControlOpened{}})
		default:
			return
		}
	}
	s.drawn[e.Control.ID] = true
	s.ladder.Observe(e)
}
