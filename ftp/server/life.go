package server

import (
	"errors"
	"io"
	"os"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// This file is the life of a session. One goroutine at a time owns it and does one step after the
// other; nextStep says which, as the first of these that there is:
//
//	stepEnd     the session is over
//	stepNews    what runs beside it has begun or ended: its replies come first
//	stepTLS     AUTH or CCC was agreed to: nothing may be read before
//	stepHeld    a command that came while something ran, and now has its turn
//	stepLast    the client sends no more: what still runs is waited for
//	stepRead    the next line, or whatever else ends the wait for it
//
// A read ends by a line, by the idle limit, or by a wake-up (alarm): a task has news, or the server
// stops. A session that has read nothing for a moment parks: another goroutine, whose stack is
// small and which holds no buffer, waits until there is something to read (park), and becomes the owner.

// step is what a session does next.
type step uint8

const (
	stepEnd step = iota
	stepNews
	stepTLS
	stepHeld
	stepLast
	stepRead
)

func (s *session) nextStep() step {
	switch {
	case s.machine.Login == ftp.Closing || s.dead != nil:
		return stepEnd
	case s.task != nil && s.task.hasNews():
		return stepNews
	case s.tlsNext != tlsStays:
		return stepTLS
	case s.task == nil && len(s.held) > 0 && !s.stopping.Load():
		return stepHeld
	case s.ended:
		return stepLast
	}
	return stepRead
}

// serve is called once, with the first goroutine.
func (s *session) serve() {
	var observe func(ftp.Happening)
	if s.set.Observer != nil {
		observe = s.emit
	}
	s.data = dtp.NewManager(&s.set.data, s.control.Local, s.control.Remote, observe)
	s.live(s.greet)
}

// greet begins a session.
func (s *session) greet() {
	s.reset()
	s.emit(ftp.ControlOpened{})
	s.began = time.Now()
	s.loginBy = time.Now().Add(s.set.LoginTimeout)
	if s.implicit {
		s.startTLS()
		s.params.Sized, s.params.Protection = true, ftp.Private
	}
	if s.dead == nil {
		s.reply(ftp.Command{}, ftp.NewReply(220, s.set.Greeting))
	}
}

// live owns the session from begin on, until its end or until it parks.
func (s *session) live(begin func()) {
	if s.steps(begin) {
		go s.park()
		return
	}
	s.srv.leave(s)
}

// steps does what there is to do. It reports whether the session parks.
func (s *session) steps(begin func()) (parks bool) {
	defer func() {
		if !parks {
			s.end(recover())
		}
	}()
	begin()
	for {
		switch s.nextStep() {
		case stepEnd:
			s.flush()
			return false
		case stepNews:
			s.hearTask()
		case stepTLS:
			s.stepTLS()
		case stepHeld:
			s.execute(s.nextHeld())
		case stepLast:
			s.lastTasks()
		case stepRead:
			if s.read() {
				return true
			}
		}
	}
}

// stepTLS does what AUTH or CCC has agreed to.
func (s *session) stepTLS() {
	if s.tlsNext == tlsBegins {
		s.startTLS()
	} else {
		s.endTLS()
	}
}

// read waits for a line and takes it up. It reports whether the session may park.
func (s *session) read() (parks bool) {
	if s.stopping.Load() && s.task == nil {
		s.reply(ftp.Command{}, ftp.NewReply(421, s.stopText()))
		return false
	}
	if !s.lines.Pending() {
		s.flush()
	}
	if s.dead != nil {
		return false // nobody reads our replies
	}
	if s.holdsEnough() {
		s.waitTask() // no more is read: TCP makes the client wait
		return false
	}
	if !s.alarm.arm(s.deadline(), s.slack(), s.hasNews) {
		return false
	}
	line, err := s.lines.ReadLine()
	switch {
	case err == nil:
		s.command(line)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s.timeout()
	default:
		s.inputFailed(err)
	}
	return false
}

// hasNews reports whether there is more to do than to wait for a line.
func (s *session) hasNews() bool {
	if s.task != nil {
		return s.task.hasNews()
	}
	return s.stopping.Load()
}

// inputFailed handles the end of what the client sends, or a line that can't be.
func (s *session) inputFailed(err error) {
	switch {
	case errors.Is(err, ftp.ErrTLS):
		s.strange("TLS")
	case errors.Is(err, ftp.ErrLineTooLong):
		s.refused("a line is too long", ftp.ReasonOther)
		s.reply(ftp.Command{}, ftp.Replyf(500, "A line may have %d bytes at most. Goodbye.", maxLine))
		s.dead = err
	case s.quitHeld(), s.isScript(), s.mayBeWhole(): // nothing more comes, but the transfer may finish
		s.endInput()
	case !errors.Is(err, io.EOF):
		s.dead = err
	case s.task != nil && s.task.opener != nil:
		s.dead = errHungUp // a client that is killed leaves its transfer like that
	default:
		s.endInput()
	}
}

// deadline returns when the wait for the next line ends; zero: never, as a session that transfers
// is not idle. The idle limit counts from the last command: bytes that are not a whole line do not
// move it. A session that may park looks sooner whether it should.
func (s *session) deadline() time.Time {
	if s.task != nil {
		return time.Time{}
	}
	now := time.Now()
	s.asked = now
	if s.idleBy.IsZero() {
		s.idleBy = now.Add(s.idle)
	}
	if s.machine.Login != ftp.LoggedIn && s.idleBy.After(s.loginBy) {
		s.idleBy = s.loginBy
	}
	if s.parksSoon(now) {
		return now.Add(parkAfter)
	}
	return s.idleBy
}

func (s *session) parksSoon(now time.Time) bool { return s.canPark && s.idleBy.Sub(now) > parkAfter }

// slack is how much too early the wait for a line may end: moving the deadline is a system call of its own.
func (s *session) slack() time.Duration {
	if s.task == nil && s.parksSoon(s.asked) {
		return parkAfter / 2
	}
	return deadlineSlack
}

// timeout handles a read that ended without a line: by a wake-up, by a moment without a command,
// which lets the session park, or by the idle limit.
func (s *session) timeout() (parks bool) {
	now := time.Now()
	switch {
	case !s.alarm.rang(now): // nextStep looks what for
	case now.Before(s.idleBy):
		return true
	case s.machine.Login != ftp.LoggedIn && !s.idleBy.Before(s.loginBy):
		s.refused("no login in time", ftp.ReasonLoginTimeout)
		s.reply(ftp.Command{}, ftp.Replyf(421, "No login within %v. Goodbye.", s.set.LoginTimeout))
	default:
		s.refused("no command for too long", ftp.ReasonIdleTimeout)
		s.reply(ftp.Command{}, ftp.Replyf(421, "No command for %v. Goodbye.", s.idle))
	}
	return false
}

// park waits for the client, on a goroutine of its own, until it says something, is gone or has been
// still for too long, or until the session is woken; then the session continues. A goroutine that has
// run a command keeps the stack that it took; this one's is new, and as small as can be.
func (s *session) park() {
	s.out = nil
	s.lines.GiveBack()
	s.data.Shrink()
	var err error
	if s.alarm.arm(s.idleBy, 0, s.hasNews) {
		err = awaitInput(s.raw)
	}
	s.live(func() {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.timeout()
		}
	})
}

// stop asks the session to end as soon as no transfer runs. A login that runs ends at
// once: the session may be waiting for nothing else.
func (s *session) stop() {
	s.stopping.Store(true)
	if j := s.login.Load(); j != nil {
		j.abort(errHungUp)
	}
	s.alarm.wake()
}
