package client

import (
	"errors"
	"fmt"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// verdict is the one place where a transfer is judged: the size, the end of the
// data and the final reply have to agree. why is set if it was cancelled.
func (r *run) verdict(why error) error {
	err := r.data.Err
	var open *dtp.OpenError
	var local *dtp.LocalError
	isOpen := errors.As(err, &open)
	if isOpen && why == nil {
		r.rememberPort()
	}
	no := r.refusal()
	switch {
	case why != nil:
		return why
	case errors.As(err, &local), errors.Is(err, dtp.ErrExpands): // what this end did not want
		return err
	case no != nil && !(r.aborted && isEcho(r.final)):
		return no
	case errors.Is(err, dtp.ErrMore), errors.Is(r.stopped, errAllCame):
		return nil // the file has grown, or only its end is missing
	case err != nil && r.stopped == nil && !isOpen && !isData(err):
		return err // the job's own check failed
	case r.lost != nil:
		return r.unconfirmed()
	case isOpen && r.stopped == nil:
		return err
	case r.stopped != nil:
		return r.cut(r.stopped)
	case err != nil:
		return r.cut(err)
	case r.wants() >= 0 && r.got() < r.wants():
		return r.cut(nil)
	case r.data.CutShort && r.j.verb == "RETR" && r.wants() < 0:
		return r.cut(errNoEnd)
	case !r.begun && r.j.verb == "RETR" && r.got() == 0 && r.wants() != 0:
		return r.cut(nil) // neither a beginning nor a byte: that was no transfer
	}
	return nil
}

// isEcho reports whether a reply may say no more than that an ABOR ended the transfer.
func isEcho(r ftp.Reply) bool { return r.Code/10 == 42 || r.Code == 450 || r.Code == 451 }

// isData reports whether err is a failure of the data connection.
func isData(err error) bool {
	var broken *dtp.BrokenError
	return errors.As(err, &broken) || errors.Is(err, dtp.ErrStalled)
}

// rememberPort: a server whose EPSV gives ports that can't be reached is asked
// for PASV next time; there are firewalls that only read the latter.
func (r *run) rememberPort() {
	no := r.refusal()
	if r.viaEPSV && (no == nil || r.final.Code/10 == 42) {
		r.c.history.noEPSV.Store(true)
	}
}

// unconfirmed judges a transfer without a final reply.
func (r *run) unconfirmed() error {
	switch {
	case !r.begun && r.got() == 0:
		return r.lost
	case r.stopped != nil || r.data.Err != nil || r.got() < r.wants():
		return r.cut(r.lost)
	}
	return fmt.Errorf("%w: %w", ErrUnconfirmed, r.lost)
}

func (r *run) cut(err error) error {
	return &TruncatedError{Want: r.wants(), Got: r.got(), Final: r.final, Err: err}
}

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
