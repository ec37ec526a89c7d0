package client

import (
	"sync/atomic"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/pi"
)

// link is one step of a chain: a transfer, or commands that may follow each other
// whatever is replied. What becomes of it:
//
//	it is       and then                                 becomes
//	queued      its caller waits no longer               gone (chain.takeBack)
//	queued      its commands leave                       sent; the bytes of a STOR are next on the data connection (give)
//	sent        a preliminary reply comes                begun; so are the bytes of a RETR (give)
//	sent        a final reply comes to each command      answered
//	given       its bytes were moved, or can't be        moved
//	sent        its caller waits no longer               unwanted: the data connection ends
//	settled     and all before it are                    judged and finished (drive.settle)
//	any         the connection breaks                    finished with errNotChained
//
// It is settled when it was answered and, if it was given to the data connection, moved.
type link struct {
	cmds    []ftp.Command
	job     *job        // nil: commands only
	replies []ftp.Reply // the final ones so far
	begun   bool
	given   bool // to the data connection
	moved   bool // data is in
	data    dtp.Result
	took    time.Duration

	unwanted atomic.Bool // nobody waits for it any more

	err  error // of finish
	done chan struct{}
}

// next is the command that the next reply answers; nil if every command has its reply.
func (l *link) next() *ftp.Command {
	if len(l.replies) < len(l.cmds) {
		return &l.cmds[len(l.replies)]
	}
	return nil
}

func (l *link) settled() bool { return l.next() == nil && (!l.given || l.moved) }

// isStore reports whether its bytes go to the server.
func (l *link) isStore() bool { return l.job != nil && l.job.dir == ftp.Store }

// expects reports whether a reply can be the one to the link's next command. If not, nobody
// knows any more whose bytes come when.
func (l *link) expects(r ftp.Reply) bool {
	if r.Code.Class() == ftp.Preliminary {
		return l.job != nil
	}
	cmd := l.next()
	return pi.Fits(cmd.Verb, r.Code) && (l.job == nil || l.begun || refusal(cmd.Verb, r) != nil)
}

// strands reports whether a reply refuses a transfer of which bytes may be on their way, which
// must not become the next one's.
func (l *link) strands(verb string, r ftp.Reply) bool {
	return l.job != nil && refusal(verb, r) != nil && (l.begun || l.isStore())
}

// outcome is what is known of a transfer that is settled.
func (l *link) outcome() outcome {
	return outcome{
		verb: l.job.verb, data: l.data.Err, begun: l.begun, final: l.replies[0], refusal: refusal(l.job.verb, l.replies[0]),
		want: l.job.want, got: l.data.Bytes, exact: true,
	}
}

// length is how many bytes its commands have.
func (l *link) length() (n int) {
	for _, c := range l.cmds {
		n += len(c.Verb) + len(c.Arg) + 3
	}
	return n
}

func (l *link) finish(err error) {
	l.err = err
	close(l.done)
}
