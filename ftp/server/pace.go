package server

import (
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
)

// paceBurst is how many commands may come at once in addition to those of one second. It is about what a client
// sends between the greeting and its first transfer.
const paceBurst = 10

// pace limits the rate of the commands of a session.
type pace struct {
	*rate.Limiter      // nil until the first command
	reported      bool // the excess was reported
}

// pace waits until the next command may run (Options.CommandRate). Meanwhile nothing is read, and TCP flow
// control makes the client wait. One wait lasts at most a second.
func (s *session) pace() {
	if s.set.CommandRate <= 0 {
		return
	}
	if s.commands.Limiter == nil {
		s.commands.Limiter = rate.NewLimiter(rate.Limit(s.set.CommandRate), s.set.CommandRate+paceBurst)
	}
	wait := s.commands.Reserve().Delay()
	if wait <= 0 {
		return
	}
	if !s.commands.reported {
		s.commands.reported = true
		s.emitRefused("commands come too fast: they are delayed", ftp.ReasonCommandRate)
	}
	s.flush()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx().Done():
	}
}
