package client

import (
	"sync/atomic"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/pi"
)

// link is one element of a chain: a transfer, or several commands that do not depend on each other's
// replies. Its states:
//
//	state       event                                      new state
//	queued      its caller stops waiting                   removed (chain.takeBack)
//	queued      its commands are sent                      sent; the bytes of a STOR are given, too
//	sent        a preliminary reply is received            begun; the bytes of a RETR are given
//	sent        every command has its final reply          answered
//	given       its bytes were moved, or can't be          moved
//	sent        its caller stops waiting                   unwanted: the data connection is closed
//	settled     and all links before it are finished       finished with its verdict (drive.settle)
//	any         the connection fails                       finished with errNotChained
//
// It is settled when it is answered and, if it was given to the data connection, moved.
type link struct {
	cmds    []ftp.Command
	job     *job        // nil: commands only
	replies []ftp.Reply // the final replies so far
	begun   bool
	given   bool // to the data connection
	moved   bool // data is set
	data    dtp.Result
	took    time.Duration

	unwanted atomic.Bool // its caller no longer waits

	err  error // set by finish
	done chan struct{}
}

// next returns the command that the next reply answers, nil if every command has its reply.
func (l *link) next() *ftp.Command {
	if len(l.replies) < len(l.cmds) {
		return &l.cmds[len(l.replies)]
	}
	return nil
}

func (l *link) settled() bool { return l.next() == nil && (!l.given || l.moved) }

// isStore reports whether the link sends bytes to the server.
func (l *link) isStore() bool { return l.job != nil && l.job.dir == ftp.Store }

// expects reports whether a reply can answer the link's next command. If not, replies and files can't
// be matched any more.
func (l *link) expects(r ftp.Reply) bool {
	if r.Code.Class() == ftp.Preliminary {
		return l.job != nil
	}
	cmd := l.next()
	return pi.Fits(cmd.Verb, r.Code) && (l.job == nil || l.begun || refusal(cmd.Verb, r) != nil)
}

// leavesBytes reports whether a reply refuses a transfer whose bytes may be on their way. They must not be
// mistaken for those of the next file.
func (l *link) leavesBytes(verb string, r ftp.Reply) bool {
	return l.job != nil && refusal(verb, r) != nil && (l.begun || l.isStore())
}

// outcome returns what is known of a settled transfer.
func (l *link) outcome() outcome {
	return outcome{
		verb: l.job.verb, data: l.data.Err, begun: l.begun, final: l.replies[0], refusal: refusal(l.job.verb, l.replies[0]),
		want: l.job.want, got: l.data.Bytes, exact: true,
	}
}

// length returns the length of its commands in bytes.
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
