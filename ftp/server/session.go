package server

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Bounds on what a client may send ahead.
const (
	maxLine     = 8 << 10 // bytes of one command
	maxFailures = 3       // refused logins
)

// session is one control connection. Its fields belong to the goroutine that runs
// live, or doze; only stopping, dropped, raw and place are touched by others.
type session struct {
	srv     *Server
	set     *settings // as they were when the session began
	raw     net.Conn  // the TCP connection; its deadlines may be set, and it be closed, by others
	conn    net.Conn  // raw, or TLS over it
	tls     *dtp.Security
	cert    *x509.Certificate // of the client, if one of Options.TLS's authorities vouches for it
	control ftp.Control
	lines   *ftp.LineReader
	machine ftp.Machine
	params  ftp.Params
	data    *dtp.Manager
	who     who
	account *Account
	files   io.Closer     // of the account, if it opens them for each session
	down    *rate.Limiter // of the account
	up      *rate.Limiter
	cwd     string
	pend    pending
	fxp     fxp

	owner       uint32    // of the account's partial uploads
	began       time.Time // when the greeting was sent
	interrupted string    // the final name of the last upload that was
	canRename   bool      // the storage was seen to
	noRename    bool      // or was seen not to

	job     *job                // what runs beside the session
	held    []ftp.Command       // what came while it ran: see held.go
	ahead   int                 // bytes of held
	charged int                 // of ahead, that srv.ahead counts
	login   atomic.Pointer[job] // the job, if it is a login
	out     []byte              // replies that are not yet written

	facts    ftp.Facts // OPTS MLST
	hash     string    // OPTS HASH
	level    int       // OPTS MODE Z; 0: none was chosen
	idle     time.Duration
	epsvAll  bool
	umask    fs.FileMode // SITE UMASK
	implicit bool        // TLS comes first, then the greeting
	secure   bool        // AUTH was agreed to: the handshake comes next
	clear    bool        // CCC was agreed to
	sized    bool        // PBSZ came
	failures int
	slowed   bool          // pace was told of
	commands *rate.Limiter // of pace; nil until it is needed
	unknown  int           // commands before login that nobody knows
	dead     error         // why the connection can't go on
	ended    bool          // the client has closed its side: no more lines come

	wakeAt   time.Time // the read deadline that the owner set
	idleBy   time.Time // the idle limit; zero: to be counted from now on
	loginBy  time.Time // no login is
	asked    time.Time // when the wait for the command began
	canDoze  bool
	stopping atomic.Bool
	dropped  atomic.Bool // stopping because others need the place
	place    place       // the server's, under its lock
}

// who is what the access commands said so far.
type who struct{ user, host string }

// pending is what the first half of a sequence left for the second.
type pending struct {
	from    string // RNFR
	restart int64  // REST, RANG
	end     int64  // RANG: the last byte; -1: to the end
}

func newSession(srv *Server, conn net.Conn, implicit bool) *session {
	set := srv.set.Load()
	s := &session{srv: srv, raw: conn, conn: conn, implicit: implicit, set: set, idle: set.IdleTimeout}
	s.control = ftp.Control{
		ID: srv.ids.Add(1), Side: ftp.ServerPI,
		Local: dtp.AddrPort(conn.LocalAddr()), Remote: dtp.AddrPort(conn.RemoteAddr()),
	}
	if !implicit {
		keepUrgent(conn)
	}
	s.canDoze = mayDoze(conn)
	s.lines = ftp.NewLineReader(conn, maxLine)
	return s
}

// reset puts the session back to the state after the greeting (REIN).
func (s *session) reset() {
	s.logOut()
	s.who.user = ""
	s.cwd = "/"
	s.pend = pending{end: -1}
	s.epsvAll = false
	s.facts = ftp.AllFacts
	s.hash, s.level = defaultHash, 0
	s.fxp, s.umask = fxp{}, 0
	s.admit()
}

// serve is the life of a session, but for the times when it dozes.
func (s *session) serve() {
	var observe func(ftp.Happening)
	if s.set.Observer != nil {
		observe = s.tell
	}
	s.data = dtp.NewManager(&s.set.data, s.control.Local, s.control.Remote, observe)
	s.live(s.greet)
}

// greet begins a session.
func (s *session) greet() {
	s.reset()
	s.tell(ftp.ControlOpened{})
	s.began = time.Now()
	s.loginBy = time.Now().Add(s.set.LoginTimeout)
	if s.implicit {
		s.startTLS()
		s.sized, s.params.Protection = true, ftp.Private
	}
	if s.dead == nil {
		s.reply(ftp.Command{}, ftp.NewReply(220, s.set.Greeting))
	}
}

// live is what a session does from begin on: until its end, or until it dozes and
// another goroutine goes on with it.
func (s *session) live(begin func()) {
	if s.lives(begin) {
		go s.doze()
		return
	}
	s.srv.leave(s)
}

func (s *session) lives(begin func()) (dozes bool) {
	defer func() {
		if !dozes {
			s.end(recover())
		}
	}()
	begin()
	for s.machine.Login != ftp.Closing && s.dead == nil {
		if s.job != nil && s.hearJob() {
			continue
		}
		if s.secure {
			s.startTLS()
			continue
		}
		if s.clear {
			s.endTLS()
			continue
		}
		if s.job == nil && len(s.held) > 0 && !s.stopping.Load() {
			s.do(s.nextHeld())
			continue
		}
		if s.ended {
			s.lastJobs()
			continue
		}
		if s.next() {
			return true
		}
	}
	s.flush()
	return false
}

// next waits for a line and runs it, or for whatever else wakes the session. It
// reports whether the session may doze.
func (s *session) next() (dozes bool) {
	if s.stopping.Load() && s.job == nil {
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
		s.waitJob() // no more is read: TCP makes the client wait
		return false
	}
	s.setDeadline()
	if s.stopping.Load() && s.job == nil || s.job != nil && s.job.hasNews() {
		return false // a wake-up may have come just before the deadline was set, and is undone
	}
	line, err := s.lines.ReadLine()
	switch {
	case err == nil:
		s.command(line)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s.timeout()
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
	case s.job != nil && s.job.opener != nil:
		s.dead = errHungUp // a client that is killed leaves its transfer like that
	default:
		s.endInput()
	}
	return false
}

// errUnknown is a client that said too much that is no FTP.
var errUnknown = errors.New("too many unknown commands before login")

var errHungUp = errors.New("the client hung up without QUIT")

// wake makes a waiting ReadLine return. It may be called from any goroutine,
// which sets what the owner will look at before it calls.
func (s *session) wake() { _ = s.raw.SetReadDeadline(time.Unix(1, 0)) }

// stop asks the session to end as soon as no transfer runs. A login that runs ends at
// once: the session may be waiting for nothing else.
func (s *session) stop() {
	s.stopping.Store(true)
	if j := s.login.Load(); j != nil {
		j.abort(errHungUp)
	}
	s.wake()
}

// noVerb is the verb of a line that is not a command. The line may have been meant to
// store a file.
const noVerb = "?"

// heard makes a command of a line: every line that is read comes here, whatever the
// session is doing. It returns false for a line of another protocol, which ends the session.
func (s *session) heard(line []byte) (ftp.Command, bool) {
	if name := foreign(line); name != "" {
		s.strange(name)
		return ftp.Command{}, false
	}
	cmd, err := ftp.ParseCommand(line)
	if err != nil {
		cmd = ftp.Command{Verb: noVerb}
	}
	if cmd.Verb == "PASS" {
		clear(line) // a password is kept no longer than needed
	}
	return cmd, true
}

// command runs the command of a line, now or when the transfer has ended.
func (s *session) command(line []byte) {
	cmd, ok := s.heard(line)
	if !ok {
		return
	}
	if s.job == nil {
		s.do(cmd)
		return
	}
	r, _ := s.srv.table.find(cmd)
	if cmd.Verb == "ABOR" && !s.job.login {
		s.job.abort(errAborted)
	}
	if r != nil && r.now && cmd.Arg == "" && len(s.held) == 0 && !s.job.inTurn {
		s.do(cmd)
		return
	}
	s.hold(cmd)
}

// do runs one command and writes its reply, unless a job will.
func (s *session) do(cmd ftp.Command) {
	s.pace()
	s.idleBy = time.Time{}
	s.tell(ftp.CommandGiven{Command: cmd.Masked()})
	renamed := s.pend.from
	r, arg, reply := s.judge(cmd)
	if r != nil {
		reply = r.run(s, arg)
	} else if reply.Code == 500 && s.machine.Login != ftp.LoggedIn {
		if s.unknown++; s.unknown > maxUnknown {
			s.dead = errUnknown
			reply = ftp.NewReply(421, "Too many commands that I do not know. Goodbye.")
		}
	}
	if reply.Code == 0 { // a transfer's replies come later
		return
	}
	s.reply(cmd, reply)
	if r != nil || reply.Code == 553 || reply.Code == 503 { // else the refusal was told, or it was no change
		s.changed(cmd, renamed, reply)
	}
}

// reply appends a reply and lets it move the machine. Only the session's owner
// calls it, so replies leave in order.
func (s *session) reply(cmd ftp.Command, r ftp.Reply) {
	s.out = r.Append(s.out)
	verb, was := cmd.Verb, s.machine.Login
	if main, ok := s.srv.table.byVerb[verb]; ok {
		verb = main.verb // XCUP moves the machine as CDUP does
	}
	s.machine.Step(verb, r.Code)
	if was == ftp.LoggedIn && s.machine.Login != was { // REIN, USER, AUTH
		s.loginBy = time.Now().Add(s.set.LoginTimeout)
	}
	s.params.Step(cmd, r.Code)
	s.clearPending()
	if s.params.Mode == ftp.Block && (ftp.Stores(verb) || verb == noVerb) && r.Code.Class() > ftp.Completion {
		s.data.Close() // what is on its way is this file's, and must not become the next one's
	}
	if s.set.Observer != nil {
		s.tell(ftp.ReplyGiven{Verb: cmd.Verb, Reply: r})
	}
	if len(s.out) > 4<<10 {
		s.flush()
	}
}

// clearPending drops the values that the machine says are used up.
func (s *session) clearPending() {
	if s.machine.Pending != ftp.RenameFrom {
		s.pend.from = ""
	}
	if s.machine.Pending != ftp.RestartAt {
		s.pend.restart, s.pend.end = 0, -1
	}
}

// flush writes the replies in one write.
func (s *session) flush() {
	if len(s.out) == 0 {
		return
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.set.StallTimeout))
	if _, err := s.conn.Write(s.out); err != nil && s.dead == nil {
		s.dead = err
	}
	s.out = s.out[:0]
	if cap(s.out) > 1<<10 {
		s.out = nil // an idle session holds little
	}
}

func (s *session) tell(h ftp.Happening) {
	if s.set.Observer != nil {
		s.set.Observer.Observe(ftp.Event{At: time.Now(), Control: &s.control, What: h})
	}
}

// ctx is the context of what the session does: it ends with the server's.
func (s *session) ctx() context.Context { return s.srv.ctx }
