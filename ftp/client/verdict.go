package client

import (
	"errors"
	"fmt"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// outcome is what is known about a transfer that has ended. For a complete transfer three things
// must agree: the size, the end of the data and the final reply. After that come the size of the
// file at its destination, and its versions before and after. A field that is not known decides
// nothing.
type outcome struct {
	verb      string
	cancelled error // why ctx ended
	data      error // how the data connection ended; nil: in order
	cutShort  bool  // TLS ended without close_notify
	stopped   error // why this side closed the data connection
	lost      error // why there is no final reply
	begun     bool  // the server announced the transfer by a 150, or a 200
	final     ftp.Reply
	refusal   error // the error of the final reply, if any
	echo      bool  // the final reply may only be the effect of an ABOR, or of the close after all announced bytes
	want, got int64 // size of the whole file in bytes, -1 if unknown; and how many of them are present
	exact     bool  // more bytes than want are an error

	sent, there   int64 // bytes that the destination should have, and has; both 0 if not checked
	before, after version
}

// verdicts is a decision table: the first row that holds decides whether a transfer is complete, and
// which error is returned if it is not.
//
// The order is: what this side decided, what the server decided, how the connections failed, the
// sizes, and last the checks of the file. The two rows for ErrMore and errAllCame have to come before
// those for failed connections: there the transfer is complete although the data connection did not
// end in order.
var verdicts = []struct {
	name  string
	holds func(o *outcome) bool
	err   func(o *outcome) error // nil: the transfer is complete
}{
	{
		"it was cancelled",
		func(o *outcome) bool { return o.cancelled != nil },
		func(o *outcome) error { return o.cancelled },
	},
	{
		"the local side failed or rejected the bytes",
		func(o *outcome) bool { return isLocalError(o.data) || errors.Is(o.data, dtp.ErrExpands) },
		func(o *outcome) error { return o.data },
	},
	{
		"the server refused it",
		func(o *outcome) bool { return o.refusal != nil && !o.echo },
		func(o *outcome) error { return o.refusal },
	},
	{
		"the file has grown, and all announced bytes arrived",
		func(o *outcome) bool { return errors.Is(o.data, dtp.ErrMore) },
		nil,
	},
	{
		"everything arrived except the end of the data connection",
		func(o *outcome) bool { return errors.Is(o.stopped, errAllCame) },
		nil,
	},
	{
		"the transfer's own check failed",
		func(o *outcome) bool {
			return o.data != nil && o.stopped == nil && !isOpening(o.data) && !isData(o.data)
		},
		func(o *outcome) error { return o.data },
	},
	{
		"the control connection failed before the transfer began",
		func(o *outcome) bool { return o.lost != nil && !o.begun && o.got == 0 },
		func(o *outcome) error { return o.lost },
	},
	{
		"the control connection failed during the transfer",
		func(o *outcome) bool {
			return o.lost != nil && (o.stopped != nil || o.data != nil || o.got < o.want)
		},
		func(o *outcome) error { return o.cut(o.lost) },
	},
	{
		"the control connection failed after all bytes",
		func(o *outcome) bool { return o.lost != nil },
		func(o *outcome) error { return fmt.Errorf("%w: %w", ErrUnconfirmed, o.lost) },
	},
	{
		"no data connection was opened",
		func(o *outcome) bool { return isOpening(o.data) && o.stopped == nil },
		func(o *outcome) error { return o.data },
	},
	{
		"this side closed the data connection",
		func(o *outcome) bool { return o.stopped != nil },
		func(o *outcome) error { return o.cut(o.stopped) },
	},
	{
		"the data connection failed",
		func(o *outcome) bool { return o.data != nil },
		func(o *outcome) error { return o.cut(o.data) },
	},
	{
		"the data ended too early, whatever the server reports",
		func(o *outcome) bool { return o.want >= 0 && o.got < o.want },
		func(o *outcome) error { return o.cut(nil) },
	},
	{
		"more bytes arrived than the file has",
		func(o *outcome) bool { return o.exact && o.want >= 0 && o.got > o.want },
		func(o *outcome) error { return o.cut(nil) },
	},
	{
		"the size is unknown and TLS ended without close_notify",
		func(o *outcome) bool { return o.cutShort && o.verb == "RETR" && o.want < 0 },
		func(o *outcome) error { return o.cut(errNoEnd) },
	},
	{
		"the server sent neither a 150 nor a byte",
		func(o *outcome) bool { return !o.begun && o.verb == "RETR" && o.got == 0 && o.want != 0 },
		func(o *outcome) error { return o.cut(nil) },
	},
	{
		"the destination has another size",
		func(o *outcome) bool { return o.there != o.sent },
		func(o *outcome) error { return &TruncatedError{Want: o.sent, Got: o.there, Final: o.final} },
	},
	{
		"the file has changed meanwhile",
		func(o *outcome) bool { return o.before.differs(o.after) },
		func(o *outcome) error { return &TruncatedError{Want: o.after.size, Err: errChanged} },
	},
	{
		"the transfer is complete",
		func(*outcome) bool { return true },
		nil,
	},
}

// verdict returns nil if the transfer is complete.
func (o *outcome) verdict() error {
	for _, v := range verdicts {
		switch {
		case !v.holds(o):
		case v.err == nil:
			return nil
		default:
			return v.err(o)
		}
	}
	return nil
}

func (o *outcome) cut(err error) error {
	return &TruncatedError{Want: o.want, Got: o.got, Final: o.final, Err: err}
}

// errChanged is wrapped by the error of a transfer during which the file changed.
var errChanged = errors.New("the file changed during the transfer")

func isLocalError(err error) bool {
	_, is := errors.AsType[*LocalError](err)
	return is
}

// isOpening reports whether err says that the data connection could not be opened.
func isOpening(err error) bool {
	_, is := errors.AsType[*dtp.OpenError](err)
	return is
}

// isData reports whether err is a failure of the data connection.
func isData(err error) bool {
	_, broken := errors.AsType[*dtp.BrokenError](err)
	return broken || errors.Is(err, dtp.ErrStalled)
}

// verdict judges the transfer. why is set if it was cancelled.
func (r *run) verdict(why error) error {
	no := r.refusal()
	if isOpening(r.data.Err) && why == nil && r.viaEPSV && (no == nil || r.final.Code/10 == 42) {
		// Some firewalls open a port only if they read it in a reply to PASV. Use PASV next time.
		r.c.history.noEPSV.Store(true)
	}
	// A bounded download closes the data connection when it has all its bytes and more arrive, as a segment that was
	// cut always does. The 426 that the server then sends may be read before the end of the data is noticed.
	closed := r.aborted || errors.Is(r.data.Err, dtp.ErrMore)
	o := outcome{
		verb: r.j.verb, cancelled: why, data: r.data.Err, cutShort: r.data.CutShort, stopped: r.stopped, lost: r.lost,
		begun: r.begun, final: r.final, refusal: no, echo: closed && isEcho(r.final), want: r.wants(), got: r.got(),
	}
	return o.verdict()
}

// isEcho reports whether a reply may only confirm that the transfer was ended by this side.
func isEcho(r ftp.Reply) bool { return r.Code/10 == 42 || r.Code == 450 || r.Code == 451 }

// got returns how many bytes of the file are present.
func (r *run) got() int64 { return r.j.offset + r.j.skipped + r.data.Bytes }

// wants returns the size of the whole file, if need be from the text of the 150 reply. It is -1
// if unknown.
func (r *run) wants() int64 {
	if r.j.want < 0 && r.j.verb == "RETR" && r.j.typ == ftp.Image && r.j.offset == 0 {
		if n, ok := ftp.SizeHint(r.j.began.Text()); ok {
			return n
		}
	}
	return r.j.want
}

func (r *run) verified() string {
	switch {
	case errors.Is(r.data.Err, dtp.ErrMore):
		return "size"
	case r.j.dir == ftp.Retrieve && r.wants() >= 0 && r.got() == r.wants():
		return "size and reply"
	}
	return "reply"
}

// uniqueName finds the name that the server chose for a file in its replies to STOU: either
// "150 FILE: name" (RFC 1123 §4.1.2.9), or a text in the final reply that some servers use.
func uniqueName(began, final ftp.Reply) string {
	text := began.Text()
	if i := strings.Index(strings.ToUpper(text), "FILE: "); i >= 0 {
		return strings.TrimSpace(text[i+len("FILE: "):])
	}
	const words = "unique file name:"
	text = final.Text()
	if i := strings.Index(strings.ToLower(text), words); i >= 0 {
		return strings.Trim(text[i+len(words):], " ).")
	}
	return ""
}
