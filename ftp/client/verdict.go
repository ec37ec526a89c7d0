package client

import (
	"errors"
	"fmt"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// outcome is what is known of a transfer that is over. The size, the end of the data and the
// final reply have to agree, then what the other end has of the file, then the versions of the
// file before and after. What is not known, or not asked for, decides nothing.
type outcome struct {
	verb      string
	cancelled error // why ctx ended
	data      error // how the data ended; nil: in good order
	cutShort  bool  // without the end that TLS has for it
	stopped   error // why this end broke the data connection off
	lost      error // why there is no final reply
	begun     bool  // the server said that the transfer begins
	final     ftp.Reply
	refusal   error // of the final reply
	echo      bool  // which may be no more than the answer to an ABOR
	want, got int64 // bytes of the whole file, -1 if unknown, and those that are there
	exact     bool  // there must not be more of them

	sent, there   int64 // bytes that the destination should have, and has; both 0 if nobody looked
	before, after version
}

// verdicts says when a transfer is whole, and what is wrong if it is not. The first row that
// holds decides.
var verdicts = []struct {
	name  string
	holds func(o *outcome) bool
	err   func(o *outcome) error // nil: it is whole
}{
	{
		"it was cancelled",
		func(o *outcome) bool { return o.cancelled != nil },
		func(o *outcome) error { return o.cancelled },
	},
	{
		"this end failed, or did not want the bytes",
		func(o *outcome) bool { return isLocalError(o.data) || errors.Is(o.data, dtp.ErrExpands) },
		func(o *outcome) error { return o.data },
	},
	{
		"the server refused it",
		func(o *outcome) bool { return o.refusal != nil && !o.echo },
		func(o *outcome) error { return o.refusal },
	},
	{
		"the file has grown: the bytes that were announced came",
		func(o *outcome) bool { return errors.Is(o.data, dtp.ErrMore) },
		nil,
	},
	{
		"only the end of the data connection is missing",
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
		"the control connection broke before it began",
		func(o *outcome) bool { return o.lost != nil && !o.begun && o.got == 0 },
		func(o *outcome) error { return o.lost },
	},
	{
		"the control connection broke in the middle",
		func(o *outcome) bool {
			return o.lost != nil && (o.stopped != nil || o.data != nil || o.got < o.want)
		},
		func(o *outcome) error { return o.cut(o.lost) },
	},
	{
		"the control connection broke at the end",
		func(o *outcome) bool { return o.lost != nil },
		func(o *outcome) error { return fmt.Errorf("%w: %w", ErrUnconfirmed, o.lost) },
	},
	{
		"there was no data connection",
		func(o *outcome) bool { return isOpening(o.data) && o.stopped == nil },
		func(o *outcome) error { return o.data },
	},
	{
		"this end broke the data connection off",
		func(o *outcome) bool { return o.stopped != nil },
		func(o *outcome) error { return o.cut(o.stopped) },
	},
	{
		"the data connection broke",
		func(o *outcome) bool { return o.data != nil },
		func(o *outcome) error { return o.cut(o.data) },
	},
	{
		"the data ended too early, whatever the server says",
		func(o *outcome) bool { return o.want >= 0 && o.got < o.want },
		func(o *outcome) error { return o.cut(nil) },
	},
	{
		"more came than the file has",
		func(o *outcome) bool { return o.exact && o.want >= 0 && o.got > o.want },
		func(o *outcome) error { return o.cut(nil) },
	},
	{
		"nothing but an end under TLS would tell that it is whole",
		func(o *outcome) bool { return o.cutShort && o.verb == "RETR" && o.want < 0 },
		func(o *outcome) error { return o.cut(errNoEnd) },
	},
	{
		"neither a beginning nor a byte came: that was no transfer",
		func(o *outcome) bool { return !o.begun && o.verb == "RETR" && o.got == 0 && o.want != 0 },
		func(o *outcome) error { return o.cut(nil) },
	},
	{
		"the destination has another size",
		func(o *outcome) bool { return o.there != o.sent },
		func(o *outcome) error { return &TruncatedError{Want: o.sent, Got: o.there, Final: o.final} },
	},
	{
		"it is another file by now",
		func(o *outcome) bool { return o.before.differs(o.after) },
		func(o *outcome) error { return &TruncatedError{Want: o.after.size, Err: errChanged} },
	},
	{
		"it is whole",
		func(*outcome) bool { return true },
		nil,
	},
}

// verdict returns nil if the transfer is whole.
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

// errChanged is inside the error of a transfer during which the file has changed.
var errChanged = errors.New("the file has changed meanwhile")

func isLocalError(err error) bool {
	_, is := errors.AsType[*LocalError](err)
	return is
}

// isOpening reports whether err is that the data connection did not come about.
func isOpening(err error) bool {
	_, is := errors.AsType[*dtp.OpenError](err)
	return is
}

// isData reports whether err is a failure of the data connection.
func isData(err error) bool {
	_, broken := errors.AsType[*dtp.BrokenError](err)
	return broken || errors.Is(err, dtp.ErrStalled)
}

// verdict judges the transfer; why is set if it was cancelled.
func (r *run) verdict(why error) error {
	no := r.refusal()
	if isOpening(r.data.Err) && why == nil && r.viaEPSV && (no == nil || r.final.Code/10 == 42) {
		// There are firewalls that read only the reply to PASV.
		r.c.history.noEPSV.Store(true)
	}
	o := outcome{
		verb: r.j.verb, cancelled: why, data: r.data.Err, cutShort: r.data.CutShort, stopped: r.stopped, lost: r.lost,
		begun: r.begun, final: r.final, refusal: no, echo: r.aborted && isEcho(r.final), want: r.wants(), got: r.got(),
	}
	return o.verdict()
}

// isEcho reports whether a reply may say no more than that an ABOR ended the transfer.
func isEcho(r ftp.Reply) bool { return r.Code/10 == 42 || r.Code == 450 || r.Code == 451 }

// got is how far the file is.
func (r *run) got() int64 { return r.j.offset + r.j.skipped + r.data.Bytes }

// wants is the size of the whole file, or what the 150 reply said of it; -1 if
// nobody knows.
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

// uniqueName finds the name that the server gave a file in the replies to STOU:
// "150 FILE: name" as RFC 1123 §4.1.2.9 has it, or in the words of the final reply.
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
