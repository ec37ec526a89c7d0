package server

import "miniftp/ftp"

// Commands that come while a task runs are held until it has ended. What a client may
// make the server hold is bounded in number and in bytes. Beyond that nothing is read
// until the task has news, and TCP makes the client wait.
const (
	maxHeld       = 64       // commands of a session
	maxAhead      = 64 << 10 // bytes of them, and one line more
	maxAheadLogin = 8 << 10  // the same, while a login is judged
	maxAheadAll   = 4 << 20  // of all sessions whose login is judged; beyond, each holds one line
	commandBytes  = 32       // what a command takes beside its argument
)

func sizeOf(cmd ftp.Command) int { return commandBytes + len(cmd.Verb) + len(cmd.Arg) }

// hold keeps a command for later.
func (s *session) hold(cmd ftp.Command) {
	s.held = append(s.held, cmd)
	s.ahead += sizeOf(cmd)
	if s.login.Load() != nil {
		s.chargeAhead()
	}
}

// nextHeld takes the first command that was held.
func (s *session) nextHeld() ftp.Command {
	cmd := s.held[0]
	s.held[0] = ftp.Command{} // its memory is free before the others are
	s.held = s.held[1:]
	s.ahead -= sizeOf(cmd)
	if len(s.held) == 0 {
		s.held = nil
	}
	return cmd
}

// holdsEnough reports whether no more commands may be read now.
func (s *session) holdsEnough() bool {
	switch {
	case len(s.held) >= maxHeld || s.ahead >= maxAhead:
		return true
	case s.login.Load() == nil || s.ahead == 0:
		return false
	}
	return s.ahead >= maxAheadLogin || s.srv.ahead.Load() >= maxAheadAll
}

// chargeAhead counts what the session holds while its login is judged, and forgives it
// when that has ended.
func (s *session) chargeAhead() {
	now := 0
	if s.login.Load() != nil {
		now = s.ahead
	}
	s.srv.ahead.Add(int64(now - s.charged))
	s.charged = now
}

// judging notes that j, a login, has started or, with nil, that it has ended.
func (s *session) judging(j *task) {
	s.login.Store(j)
	s.chargeAhead()
	if j != nil && s.stopping.Load() {
		j.abort(errHungUp) // stop may have come before the task did
	}
}
