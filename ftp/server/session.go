package server

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
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

// session is one control connection. Its fields belong to the goroutine that owns the session (life.go),
// but for those at the end.
type session struct {
	srv *Server
	set *settings // as they were when the session began

	// The control connection.
	raw      net.Conn // the TCP connection; its deadlines may be set, and it be closed, by others
	conn     net.Conn // raw, or TLS over it
	alarm    alarm
	implicit bool // TLS comes first, then the greeting
	tls      *dtp.Security
	tlsNext  tlsStep
	cert     *x509.Certificate // of the client, if one of Options.TLS's authorities vouches for it
	control  ftp.Control
	lines    *ftp.LineReader
	out      []byte // replies that are not yet written
	dead     error  // why the connection can't go on
	ended    bool   // the client has closed its side: no more lines come

	// What the client and this server have agreed on.
	machine ftp.Machine
	params  ftp.Params
	pend    pending
	data    *dtp.Manager
	fxp     fxp
	facts   ftp.Facts   // OPTS MLST
	hash    string      // OPTS HASH
	level   int         // OPTS MODE Z; 0: none was chosen
	umask   fs.FileMode // SITE UMASK

	// Who is logged in, and to which files.
	who         who
	account     *Account
	files       io.Closer     // of the account, if it opens them for each session
	down, up    *rate.Limiter // of the account
	cwd         string
	owner       uint32  // of the account's partial uploads
	interrupted string  // the final name of the last upload that was
	renames     ability // of the storage

	// What runs beside the session, and what came meanwhile (held.go).
	task    *task
	held    []ftp.Command
	ahead   int // bytes of held
	charged int // of ahead, that srv.ahead counts

	// Limits.
	began    time.Time // when the greeting was sent
	loginBy  time.Time // no login is later
	idle     time.Duration
	idleBy   time.Time // the idle limit; zero: to be counted from now on
	asked    time.Time // when the wait for the command began
	canPark  bool
	failures int // refused logins
	unknown  int // commands before login that nobody knows
	commands pace

	// For other goroutines.
	login    atomic.Pointer[task] // the task, if it is a login
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
	s := &session{srv: srv, raw: conn, conn: conn, alarm: alarm{conn: conn}, implicit: implicit, set: set, idle: set.IdleTimeout}
	s.control = ftp.Control{
		ID: srv.ids.Add(1), Side: ftp.ServerPI,
		Local: dtp.AddrPort(conn.LocalAddr()), Remote: dtp.AddrPort(conn.RemoteAddr()),
	}
	if !implicit {
		keepUrgent(conn)
	}
	s.canPark = mayPark(conn)
	s.lines = ftp.NewLineReader(conn, maxLine)
	return s
}

// reset puts the session back to the state after the greeting (REIN).
func (s *session) reset() {
	s.logOut()
	s.who.user = ""
	s.cwd = "/"
	s.pend = pending{end: -1}
	s.params.OnlyEPSV = false
	s.facts = ftp.AllFacts
	s.hash, s.level = defaultHash, 0
	s.fxp, s.umask = fxp{}, 0
	s.admit()
}

// errUnknown is a client that said too much that is no FTP.
var errUnknown = errors.New("too many unknown commands before login")

var errHungUp = errors.New("the client hung up without QUIT")

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
	if s.task == nil {
		s.execute(cmd)
		return
	}
	r, _ := s.srv.table.find(cmd)
	if cmd.Verb == "ABOR" && !s.task.login {
		s.task.abort(errAborted)
	}
	if r != nil && r.now && cmd.Arg == "" && len(s.held) == 0 && !s.task.inTurn {
		s.execute(cmd)
		return
	}
	s.hold(cmd)
}

// execute runs one command and writes its reply, unless a task will.
func (s *session) execute(cmd ftp.Command) {
	s.pace()
	s.idleBy = time.Time{}
	s.emit(ftp.CommandGiven{Command: cmd.Masked()})
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
	if r.Code == 227 || r.Code == 229 {
		s.flush() // a firewall that reads along finds an address only at the beginning of a segment
	}
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
		s.emit(ftp.ReplyGiven{Verb: cmd.Verb, Reply: r})
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

func (s *session) emit(h ftp.Happening) {
	if s.set.Observer != nil {
		s.set.Observer.Observe(ftp.Event{At: time.Now(), Control: &s.control, What: h})
	}
}

// ctx is the context of what the session does: it ends with the server's.
func (s *session) ctx() context.Context { return s.srv.ctx }
