package server

import "time"

// The times that nobody can set, each with why it is so.
const (
	// parkAfter is how long a session that reads nothing keeps its buffer and its stack. To park and
	// to come back costs as much as half a NOOP: clients that are farther away than this pay that
	// for each command, and do not notice.
	parkAfter = 20 * time.Millisecond
	// deadlineSlack is by how much the idle limit may be off, to save a system call for each command.
	deadlineSlack = time.Second

	// quickWait is how long the session itself waits for a passive client's call, which most often
	// came before its RETR. It saves the switch to a goroutine and back, and costs a client that is
	// far away nothing that it notices.
	quickWait = 2 * time.Millisecond
	// nearTime is how soon the command of a transfer comes if the client is near: it is on this host,
	// or on a fast local network.
	nearTime = 500 * time.Microsecond
	// lineWait is how long the end of an upload waits for the rest of a command: both came at once.
	lineWait = time.Second
	// A client that is killed ends both of its connections, the upload's now and then first: so the
	// end of an upload that took longUpload waits for the end of the control connection, for a
	// hundredth of that time but no longer than hangUpWait (seen with curl and ftplib).
	longUpload = 50 * time.Millisecond
	hangUpWait = 20 * time.Millisecond

	// lastLogin is how long a client that has closed its side is logged in for: a script that sent
	// all it has to say takes less, and one that guesses passwords and is gone shall not keep its
	// place in the queue.
	lastLogin = 5 * time.Second
	// lastHash is how long a hash continues if nothing more can come from the client, which a hash
	// does not notice, as a transfer does.
	lastHash = 5 * time.Second
	// lingerTime is how long the end of a session reads what the client has still to say: a close
	// with bytes unread would be a reset, and take the last reply along.
	lingerTime = 200 * time.Millisecond
	// closeTime is how long Close lets clients read their last replies.
	closeTime = time.Second

	// clientEndsTLS is how long a client has to end TLS first, behind CCC: lftp wants to be the
	// first, curl may want the server to be.
	clientEndsTLS = 300 * time.Millisecond

	// timeToLogIn is what a session has at least to log in, also when others want its place: a
	// person has to type a password.
	timeToLogIn = 10 * time.Second
	// wordsTime is how long a caller who is turned away may take to read why. Without descriptors
	// left it is only as long as the first write takes, which finds room.
	wordsTime      = time.Second
	wordsTimeLeast = time.Millisecond
	// acceptAgain is the pause after an Accept that failed, which it will until a session ends.
	acceptAgain = 50 * time.Millisecond
	// minIdle is the shortest time that SITE IDLE takes: less would be a way to lose one's session.
	// An even shorter Options.IdleTimeout is the only one that it takes then.
	minIdle = 10 * time.Second

	// knownFor is how long a password that was right is known without its hash, which costs a
	// processor a quarter of a second: clients open several connections one after the other.
	knownFor = 5 * time.Minute

	// maxListTime bounds one listing that produces lines all the time, and listSlice is how long it
	// goes on without one before it looks whether it is to stop.
	maxListTime = 2 * time.Minute
	listSlice   = 200 * time.Millisecond

	// appendPause is how long a client that may be resuming an interrupted upload can't append to
	// the file that the upload was to replace.
	appendPause = 5 * time.Minute
	// Interrupted uploads that nobody resumed are removed after keptFor, and those that can't be
	// resumed any more, as the file has changed, after staleFor.
	keptFor  = 30 * 24 * time.Hour
	staleFor = 24 * time.Hour
	// lockedBy is when a running upload has its lock at the latest.
	lockedBy = 5 * time.Second
	// sweepEvery is how often what killed servers left is looked for: it walks all trees.
	sweepEvery = 6 * time.Hour

	// The public address is looked up anew after publicIPAge, sooner if that failed. A lookup that
	// took publicIPWait has failed.
	publicIPAge   = time.Minute
	publicIPRetry = 10 * time.Second
	publicIPWait  = 10 * time.Second
)
