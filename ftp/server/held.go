package server

import "miniftp/ftp"

// Commands that come while a task runs are held until it has ended. What a client may make the server hold is
// bounded in number and in bytes. Beyond the bounds nothing is read until the task has news, and TCP flow
// control makes the client wait. While a login is being judged the bounds are smaller, and there is one for all
// sessions together, because anyone can connect.
const (
	maxHeld       = 64       // commands of one session
	maxAhead      = 64 << 10 // bytes of one session; the command that crosses the bound is still held
	maxAheadLogin = 8 << 10  // the same, while a login is being judged
	maxAheadAll   = 4 << 20  // of all sessions whose login is being judged; beyond it each holds only one command
	commandBytes  = 32       // estimated size of a command besides its verb and argument
)

func sizeOf(cmd ftp.Command) int { return commandBytes + len(cmd.Verb) + len(cmd.Arg) }

// hold keeps a command until the task has ended.
func (s *session) hold(cmd ftp.Command) {
	s.held = append(s.held, cmd)
	s.ahead += sizeOf(cmd)
	if s.login.Load() != nil {
		s.chargeAhead()
	}
}

// nextHeld removes and returns the oldest held command.
func (s *session) nextHeld() ftp.Command {
	cmd := s.held[0]
	s.held[0] = ftp.Command{} // let its argument be freed before the slice is
	s.held = s.held[1:]
	s.ahead -= sizeOf(cmd)
	if len(s.held) == 0 {
		s.held = nil
	}
	return cmd
}

// heldFull reports whether a bound is reached, so that nothing more may be read now.
func (s *session) heldFull() bool {
	switch {
	case len(s.held) >= maxHeld || s.ahead >= maxAhead:
		return true
	case s.login.Load() == nil || s.ahead == 0:
		return false
	}
	return s.ahead >= maxAheadLogin || s.srv.ahead.Load() >= maxAheadAll
}

// chargeAhead counts in srv.ahead what this session holds while its login is being judged, and subtracts it
// afterwards.
func (s *session) chargeAhead() {
	now := 0
	if s.login.Load() != nil {
		now = s.ahead
	}
	s.srv.ahead.Add(int64(now - s.charged))
	s.charged = now
}

// setLogin records that the login j has started or, if j is nil, that it has ended.
func (s *session) setLogin(j *task) {
	s.login.Store(j)
	s.chargeAhead()
	if j != nil && s.stopping.Load() {
		j.abort(errHungUp) // stop may have been called before the login was recorded
	}
}
