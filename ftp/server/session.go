package server

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// Limits on one client.
const (
	maxLine     = 8 << 10 // bytes of one command
	maxFailures = 3       // refused logins
)

// session is one control connection and everything known about its client.
//
// One goroutine at a time owns a session (life.go), and only the owner may touch the fields, except for those
// of the last group. Any goroutine may set the deadlines of raw, and close it. Work that runs beside the
// session (task.go) gets what it needs as copies or through its task.
type session struct {
	srv *Server
	set *settings // the settings when the session began; Reload does not change them

	// The control connection.
	raw        net.Conn // the TCP connection
	conn       net.Conn // raw, or TLS over it
	alarm      alarm
	implicit   bool // TLS is first, then the greeting (port 990)
	tls        *dtp.Security
	tlsNext    tlsStep           // the change of TLS that follows the reply to AUTH or CCC
	cert       *x509.Certificate // the client's, if one of the authorities in Options.TLS signed it
	control    ftp.Control
	reached    netip.Addr // the address that the client has reached, if a balancer says so
	lines      *ftp.LineReader
	out        []byte // replies not yet written
	dead       error  // why the session has to end; nil: it continues
	inputEnded bool   // the client has closed its side: no more lines come

	// The state of the protocol: the machine of RFC 959 §6 and what the client has chosen.
	machine ftp.Machine
	params  ftp.Params
	pend    pending      // what REST, RANG or RNFR left for the next command
	data    *dtp.Manager // the data connections of the session
	said227 bool         // the last passive port was announced by a 227, else by a 229
	offered time.Time    // when it was announced
	fxp     fxp          // SSCN, CPSV
	facts   ftp.Facts    // OPTS MLST
	hash    string       // OPTS HASH
	level   int          // OPTS MODE Z; 0: the default
	umask   fs.FileMode  // Account.Umask and SITE UMASK

	unchanged bool // the command that was answered last has succeeded, but there was nothing to change

	// The login. Before it account is nil.
	identity    identity
	account     *Account
	files       io.Closer      // of the account, if it opens them for each session
	leased      *leasedSession // with Options.State
	stored      *storedTime    // the last upload, if it was stored with the time of the next command
	quotas      *quotas        // nil: none
	down, up    *rate.Limiter  // of the account
	cwd         string
	given       *[maxGiven]givenName
	owner       uint32  // hash of Account.Owner, for the names of partial uploads
	interrupted string  // the final name of the last upload that was interrupted
	renames     ability // whether the storage can rename

	// The task that runs beside the session, and the commands read meanwhile (held.go).
	task    *task
	held    []ftp.Command // oldest first
	ahead   int           // size of held in bytes
	charged int           // the part of ahead that is counted in srv.ahead

	// Limits.
	began     time.Time // when the greeting was sent
	loginBy   time.Time // the login must be done by then
	idle      time.Duration
	idleBy    time.Time // the session is ended at this time if no command comes; zero: not yet set
	waitBegan time.Time // when the wait for the current command began
	canPark   bool      // the platform can wait on the connection without a buffer
	failures  int       // refused logins
	unknown   int       // unknown commands before login
	commands  pace

	// Shared with other goroutines.
	login    atomic.Pointer[task] // the running task, if it is a login
	running  atomic.Pointer[task] // the running task, if it is a transfer or waits for a port
	kicked   atomic.Bool          // stopping, because of Kick
	stopping atomic.Bool          // end as soon as no transfer runs
	dropped  atomic.Bool          // stopping, because another session needs the place
	place    place                // guarded by Server.mu
}

// identity holds what the client has sent with USER and HOST. Nothing of it is verified.
type identity struct{ user, host string }

// pending holds what the first command of a sequence left for the second.
type pending struct {
	from    string // RNFR: the path to rename
	restart int64  // REST, RANG: the first byte
	end     int64  // RANG: the last byte; -1: to the end of the file
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

// reset returns the session to its state after the greeting (REIN).
func (s *session) reset() {
	s.logOut()
	s.identity.user = ""
	s.cwd = "/"
	s.pend = pending{end: -1}
	s.params.OnlyEPSV = false
	s.facts = ftp.AllFacts
	s.hash, s.level = defaultHash, 0
	s.fxp, s.umask = fxp{}, 0
	s.admitData()
}

// errUnknown ends a session whose client sent too many unknown commands before login: it is hardly an FTP
// client.
var errUnknown = errors.New("too many unknown commands before login")

var errHungUp = errors.New("the client hung up without QUIT")

// noVerb is the verb of a line that is not a command. In block mode such a line may have been a STOR whose data
// follows, so reply treats it as one.
const noVerb = "?"

// parseLine parses a line. Every line read from the client passes through it, whatever the session is doing, so
// another protocol is recognized everywhere (foreign.go). It returns false for a line of another protocol; the
// session is dead then.
func (s *session) parseLine(line []byte) (ftp.Command, bool) {
	if name := foreign(line); name != "" {
		s.endForeign(name)
		return ftp.Command{}, false
	}
	cmd, err := ftp.ParseCommand(line)
	if err != nil {
		cmd = ftp.Command{Verb: noVerb}
	}
	if cmd.Verb == "PASS" {
		clear(line) // don't keep the password in the read buffer
	}
	return cmd, true
}

// command runs the command in line: now if no task runs or the command need not wait, else after the task. ABOR
// stops a running transfer, but its reply still comes in turn, after the 426 of the transfer (RFC 959 §4.1.3).
func (s *session) command(line []byte) {
	cmd, ok := s.parseLine(line)
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
	// NOOP and STAT are answered during a transfer, but not before an earlier command that is held.
	if r != nil && r.now && cmd.Arg == "" && len(s.held) == 0 && !s.task.inTurn {
		s.execute(cmd)
		return
	}
	s.hold(cmd)
}

// execute runs one command and appends its reply, unless the command has started a task: then the task's end
// gives the reply.
func (s *session) execute(cmd ftp.Command) {
	s.pace()
	s.idleBy = time.Time{}
	s.emit(ftp.CommandGiven{Command: cmd.Masked()})
	renamed := s.pend.from // reply clears it
	s.unchanged = false
	if s.account != nil && s.task == nil && s.account.expired() {
		s.dead = errExpired
		s.emitRefused("the account has expired", ftp.ReasonExpired)
		s.reply(cmd, ftp.NewReply(421, "Your account has expired. Goodbye."))
		return
	}
	r, arg, reply := s.judge(cmd)
	if r != nil {
		reply = r.run(s, arg)
	} else if reply.Code == 500 && s.machine.Login != ftp.LoggedIn {
		if s.unknown++; s.unknown > maxUnknown {
			s.dead = errUnknown
			reply = ftp.NewReply(421, "Too many unknown commands. Goodbye.")
		}
	}
	if reply.Code == 0 { // a task was started: it replies later
		return
	}
	s.reply(cmd, reply)
	if r != nil || reply.Code == 553 || reply.Code == 503 { // other refusals were reported when they were decided
		s.emitOutcome(cmd, renamed, reply)
	}
}

// reply appends a reply and advances the state machine by it. Only the owner of the session calls it, so
// replies leave in the order of their commands.
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
	if was == ftp.LoggedIn && s.machine.Login != was { // REIN, USER, AUTH: the time for the login starts again
		s.loginBy = time.Now().Add(s.set.LoginTimeout)
	}
	s.params.Step(cmd, r.Code)
	s.clearPending()
	if s.params.Mode == ftp.Block && (ftp.Stores(verb) || verb == noVerb) && r.Code.Class() > ftp.Completion {
		s.data.Close() // the client may have sent data already: it must not become the next file
	}
	if s.set.Observer != nil {
		s.emit(ftp.ReplyGiven{Verb: cmd.Verb, Reply: r})
	}
	if len(s.out) > 4<<10 { // a client that sends many commands at once must not make it grow
		s.flush()
	}
}

// clearPending drops the values of REST, RANG and RNFR once the machine has left the state that they belong to.
func (s *session) clearPending() {
	if s.machine.Pending != ftp.RenameFrom {
		s.pend.from = ""
	}
	if s.machine.Pending != ftp.RestartAt {
		s.pend.restart, s.pend.end = 0, -1
	}
}

// flush writes all pending replies in one write.
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

// ctx is the parent of the contexts of the session's tasks. It ends when the server closes.
func (s *session) ctx() context.Context { return s.srv.ctx }
