package server

import (
	"errors"
	"io"
	"os"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/internal/calm"
)

// This file is the main loop of a session. Exactly one goroutine owns the session at any time. The owner does
// one step after the other; nextStep chooses the first of these that applies:
//
//	stepEnd     QUIT or an error: flush the replies and end
//	stepNews    the task has opened its data connection or has ended: send its reply
//	stepTLS     AUTH or CCC was accepted: nothing may be read before the change is made
//	stepHeld    no task runs any more: run the next of the commands that were read meanwhile
//	stepLast    the client has closed its side: wait for the task, then end
//	stepRead    read the next line, unless something else ends the wait
//
// The order is the order of replies: the news of a task come before any later command, and a held command comes
// before one that is still to be read.
//
// A read ends when a line is complete, when the idle limit is reached, or when the alarm rings (alarm.go)
// because the task has news or the server stops.
//
// Ownership moves only when the session parks: after parkAfter without input the owner starts another
// goroutine, which waits for input without a buffer and on a small stack (park), and returns. The new goroutine
// is the owner from then on, and stays so when it runs commands again.

// step is what the owner of a session does next.
type step uint8

const (
	stepEnd step = iota
	stepNews
	stepTLS
	stepHeld
	stepLast
	stepRead
)

// nextStep chooses the step. It has no effects, so that a test can check all combinations of its reasons. Held
// commands are not run once the server stops: stepRead then ends the session with a 421.
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
	case s.inputEnded:
		return stepLast
	}
	return stepRead
}

// serve runs the session on the goroutine that calls it, until the session ends or parks.
func (s *session) serve() {
	var observe func(ftp.Happening)
	if s.set.Observer != nil {
		observe = s.emit
	}
	s.data = dtp.NewManager(&s.set.data, s.control.Local, s.control.Remote, observe)
	s.live(s.greet)
}

// greet starts the session with the greeting, after the TLS handshake if that comes first.
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

// live owns the session, starting with begin, until it ends or parks.
func (s *session) live(begin func()) {
	if s.steps(begin) {
		go s.park()
		return
	}
	s.srv.removeSession(s)
}

// steps runs begin and then one step after the other. It reports whether the session parks; otherwise the
// session has ended, perhaps by a panic.
func (s *session) steps(begin func()) (parks bool) {
	defer func() {
		if !parks {
			s.end(recover()) // a panic ends this session only
		}
	}()
	begin()
	for {
		switch s.nextStep() {
		case stepEnd:
			s.flush()
			return false
		case stepNews:
			s.handleTaskNews()
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

// stepTLS starts TLS after AUTH, or ends it after CCC. Both flush the reply first.
func (s *session) stepTLS() {
	if s.tlsNext == tlsBegins {
		s.startTLS()
	} else {
		s.endTLS()
	}
}

// read waits for a line and runs it. It reports whether the session should park instead.
func (s *session) read() (parks bool) {
	if s.stopping.Load() && s.task == nil {
		s.reply(ftp.Command{}, ftp.NewReply(421, s.stopText()))
		return false
	}
	// The replies to commands that came in one segment leave in one write.
	waits := !s.lines.Pending()
	if waits {
		s.flush()
	}
	if s.dead != nil {
		return false // the write failed: nobody reads our replies
	}
	if s.heldFull() {
		s.waitTask() // reads nothing more: TCP flow control makes the client wait
		return false
	}
	if !s.alarm.arm(s.deadline(), s.slack(), s.hasNews) {
		return false
	}
	if waits && s.task == nil {
		calm.Wait(s.waitBegan)
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

// hasNews reports whether the owner has something to do besides waiting for a line.
func (s *session) hasNews() bool {
	if s.task != nil {
		return s.task.hasNews()
	}
	return s.stopping.Load()
}

// inputFailed handles a read that failed: the client has closed its side or is gone, or it sent something that
// is not a line.
func (s *session) inputFailed(err error) {
	switch {
	case errors.Is(err, ftp.ErrTLS):
		s.endForeign("TLS")
	case errors.Is(err, ftp.ErrLineTooLong):
		s.emitRefused("a line is too long", ftp.ReasonOther)
		s.reply(ftp.Command{}, ftp.Replyf(500, "A line may have %d bytes at most. Goodbye.", maxLine))
		s.dead = err
	case s.task != nil && s.task.forPort && (len(s.held) == 0 || !errors.Is(err, io.EOF)):
		s.dead = errHungUp // nobody will use the port
	case s.quitHeld(), s.isScript(), s.mayBeWhole(): // no more lines, but what runs may be completed
		s.endInput()
	case !errors.Is(err, io.EOF):
		s.dead = err
	case s.task != nil && s.task.opener != nil:
		s.dead = errHungUp // a killed client leaves its transfer in this state
	default:
		s.endInput()
	}
}

// deadline returns when the wait for the next line ends, or zero for never: a session that transfers is not
// idle. The idle limit counts from the last command, so bytes that are not yet a whole line do not extend it.
// If the session can park, the wait ends after parkAfter instead, and timeout decides.
func (s *session) deadline() time.Time {
	if s.task != nil {
		return time.Time{}
	}
	now := time.Now()
	s.waitBegan = now // transfer uses it, too, to guess how far away the client is
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

// slack returns by how much the wait for a line may end too early. Allowing that saves a system call at each
// command, which would move the deadline.
func (s *session) slack() time.Duration {
	if s.task == nil && s.parksSoon(s.waitBegan) {
		return parkAfter / 2
	}
	return deadlineSlack
}

// timeout handles a read that ended without a line. The cause is a wake-up, the end of parkAfter, which lets
// the session park, or the idle limit.
func (s *session) timeout() (parks bool) {
	now := time.Now()
	switch {
	case !s.alarm.rang(now): // a wake-up: nextStep finds out why
	case now.Before(s.idleBy): // parkAfter has passed
		return true
	case s.machine.Login != ftp.LoggedIn && !s.idleBy.Before(s.loginBy):
		s.emitRefused("no login in time", ftp.ReasonLoginTimeout)
		s.reply(ftp.Command{}, ftp.Replyf(421, "No login within %v. Goodbye.", s.set.LoginTimeout))
	default:
		s.emitRefused("no command for too long", ftp.ReasonIdleTimeout)
		s.reply(ftp.Command{}, ftp.Replyf(421, "No command for %v. Goodbye.", s.idle))
	}
	return false
}

// park waits for input on a goroutine of its own and then owns the session again. The wait ends when the client
// sends something or is gone, at the idle limit, or when the session is woken. Before the wait all buffers are
// returned. A goroutine that has run commands keeps the stack it grew; this one is new, so a parked session
// costs a few kilobytes.
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

// stop asks the session to end as soon as no transfer runs. A login is aborted at once, because it may wait
// long for its turn, and so is the wait for a port. Any goroutine may call stop.
func (s *session) stop() {
	s.stopping.Store(true)
	if j := s.login.Load(); j != nil {
		j.abort(errHungUp)
	}
	if j := s.running.Load(); j != nil && j.forPort {
		j.abort(errHungUp)
	}
	s.alarm.wake()
}
