package server

import "time"

// Times that are not options, each with its reason.
const (
	// parkAfter is how long a session without input keeps its buffer and its stack. To park and to continue
	// costs about half as much as a NOOP. A client that is farther away than this pays it at each command,
	// which is little compared to its round trip.
	parkAfter = 20 * time.Millisecond
	// deadlineSlack is how inexact the idle limit may be. It saves a system call at each command.
	deadlineSlack = time.Second

	// quickWait is how long the session's own goroutine waits for the connection of a passive client, and then
	// for the transfer. Usually the connection comes before the RETR. The wait saves a switch to another
	// goroutine and back, and is short compared to the round trip of a client that is far away.
	quickWait = 2 * time.Millisecond
	// nearTime is how soon after our last reply the command of a transfer comes if the client is near: on this
	// host or in a fast local network.
	nearTime = 500 * time.Microsecond
	// lineWait is how long settle waits for the rest of a command: usually all of it came at once.
	lineWait = time.Second
	// A killed client closes both its connections, sometimes the data connection first. So after an upload that
	// took at least longUpload, settle waits for the end of the control connection: a hundredth of the upload's
	// time, but at most hangUpWait (seen with curl and ftplib).
	longUpload = 50 * time.Millisecond
	hangUpWait = 20 * time.Millisecond

	// lastLogin is how long the login of a client continues after the client has closed its side. That is
	// enough for a script that has sent all its commands. A client that guesses passwords and is gone must not
	// keep its place in the queue.
	lastLogin = 5 * time.Second
	// lastHash is the same for a hash. A transfer needs no such limit: its data connection shows when the
	// client is gone.
	lastHash = 5 * time.Second
	// lingerTime is how long the end of a session reads what the client still sends: closing with unread bytes
	// is a reset, which may discard the last reply.
	lingerTime = 200 * time.Millisecond
	// closeTime is how long Close lets clients read their last replies.
	closeTime = time.Second

	// clientEndsTLS is how long the client has to end TLS after CCC before the server does. lftp expects to be
	// first, curl may expect the server to be (see endTLS).
	clientEndsTLS = 300 * time.Millisecond

	// timeToLogIn is how long a session can wait for its login before others may displace it: a person has to
	// type a password.
	timeToLogIn = 10 * time.Second
	// rejectTime is how long a client that is turned away may take to read the reply. Without free descriptors
	// it is rejectTimeShort, enough for a write to a socket whose buffer is empty.
	rejectTime      = time.Second
	rejectTimeShort = time.Millisecond
	// uncalledAfter is how long a client has to call a passive port before it counts as not having reached it, when it then
	// does something else. Clients call within a round trip.
	uncalledAfter = 3 * time.Second
	// proxyWait is how long a balancer may take to send its header: it sends it with the first segment.
	proxyWait = 5 * time.Second
	// deafTime is how long Drain waits until the listeners are closed and the last connections are admitted, which takes
	// microseconds.
	deafTime = time.Second
	// acceptRetry is the pause after a failed Accept, which usually fails again until a session ends.
	acceptRetry = 50 * time.Millisecond
	// minIdle is the shortest time that SITE IDLE accepts, so that a client does not end its own session by
	// mistake. If Options.IdleTimeout is even shorter, that is the only time accepted.
	minIdle = 10 * time.Second

	// knownFor is how long a password that has matched is remembered. Computing its hash again costs a
	// processor up to a quarter of a second, and clients open several connections one after the other.
	knownFor = 5 * time.Minute

	// maxListTime bounds the processing time of one listing. listSlice is how long a listing continues without
	// output before it checks whether it has to stop.
	maxListTime = 2 * time.Minute
	listSlice   = 200 * time.Millisecond

	// appendPause is how long a client that may be resuming an interrupted upload can't append to the file that
	// the upload was to replace (see mayBeResuming).
	appendPause = 5 * time.Minute
	// Interrupted uploads that nobody has resumed are removed after keptFor. Those that can't be resumed,
	// because the final file has changed, are removed after staleFor.
	keptFor  = 30 * 24 * time.Hour
	staleFor = 24 * time.Hour
	// lockedBy is the age at which every running upload has its lock.
	lockedBy = 5 * time.Second
	// sweepEvery is the time between two sweeps, which walk all trees.
	sweepEvery = 6 * time.Hour

	// stateWait bounds one task with shared state (State). updatePause is the first wait after a change by another
	// server.
	stateWait   = 20 * time.Second
	updatePause = 5 * time.Millisecond
	// leavingPause is the wait of a login for the end of an earlier session of its user.
	leavingPause = 20 * time.Millisecond

	// The public address is looked up again after publicIPAge, or after publicIPRetry if the last lookup
	// failed. A lookup may take publicIPWait.
	publicIPAge   = time.Minute
	publicIPRetry = 10 * time.Second
	publicIPWait  = 10 * time.Second
)

// These are variables only for tests.
var (
	// progressEvery is the time between two lines that show that a long command still runs. Clients wait for a
	// reply for 30 s (ncftp) or more.
	progressEvery = 10 * time.Second
	// A lease of sessions (lease.go) lasts for leaseTime: so long a user may have to wait after the death of a
	// server. Bans of other servers are read every bansEvery: so long a guesser can continue at another server.
	leaseTime = time.Minute
	bansEvery = 5 * time.Second
	// pendingTime is how long a change of a counted file (quota.go) is pending after its server has renewed it last:
	// so long the file can't be changed after the death of a server.
	pendingTime = time.Minute
)
