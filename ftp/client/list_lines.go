package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"miniftp/ftp/internal/kept"

	"miniftp/ftp"
)

// maxLine is the maximum length of a line in a listing, in bytes.
const maxLine = 64 << 10

// lines runs a listing and yields its lines, without line ends, as they arrive. It returns errStopped
// if yield returned false.
func (c *Client) lines(ctx context.Context, verb, path string, yield func(line string) bool) error {
	var res Result // set when the stream has ended
	begun := false
	s := c.stream(ctx, func(ctx context.Context, j *job) (err error) {
		j.verb, j.arg, j.dir, j.want, j.raw = verb, path, ftp.Retrieve, -1, true
		j.anyType = verb == "MLSD" // RFC 3659 §7.2
		j.anyMode = true
		res, err = c.transfer(ctx, j)
		begun = j.began.Code != 0
		return err
	}, func() {})
	defer func() { _ = s.Close() }() // its verdict was returned with the last line
	in := bufio.NewReaderSize(s, maxLine)
	for n, size := 0, 0; ; n++ {
		line, err := in.ReadSlice('\n')
		size += len(line)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return ftp.ErrLineTooLong
		case errors.Is(err, errNothingCame):
			return errNotBegun
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case n == kept.MaxEntries, size > kept.MaxListing:
			return ErrTooMany
		}
		cut := err != nil && len(line) > 0
		text := strings.TrimRight(strings.TrimSuffix(string(line), "\n"), "\r") // some servers end lines in CR CR LF
		if c.opts.Observer != nil && text != "" {
			c.emit(ftp.Listed{Line: text})
		}
		c.halfLine = cut
		switch {
		case cut && verb == "MLSD":
			return &TruncatedError{Want: -1, Got: res.Bytes, Final: res.Final, Err: errHalfLine}
		case cut && verb == "LIST" && res.cutShort: // half of a name would be a different name
			return fmt.Errorf("the last line is incomplete: %w", &ftp.LineError{Line: c.decode(text)})
		case text != "" && !yield(c.decode(text)):
			return errStopped
		case err != nil:
			return listed(verb, res, begun || n > 0)
		}
	}
}

var (
	// errNotBegun is returned for an empty listing that the server reported as complete without
	// having begun it.
	errNotBegun = fmt.Errorf("%w: the server sent no 150 reply before its end", ErrPartial)

	// errNoNotify is returned for a listing over TLS whose data connection was closed without the
	// close_notify that RFC 8446 §6.1 requires: an attacker may have cut it.
	errNoNotify = fmt.Errorf("%w: TLS did not end properly, so names may be missing at its end", ErrPartial)
)

// listed judges a listing that ended without an error. Some servers reply 226 although they could not
// read the directory, or did not list all of it.
func listed(verb string, res Result, begun bool) error {
	text := strings.ToLower(strings.Join(res.Final.Lines, "\n"))
	switch {
	case strings.Contains(text, "failed to open"), strings.Contains(text, "but failed"):
		return &ftp.Error{Verb: verb, Reply: res.Final}
	case strings.Contains(text, "truncated"):
		return fmt.Errorf("%w: the server replied %v", ErrPartial, res.Final)
	case res.cutShort:
		return errNoNotify
	case !begun:
		return errNotBegun
	}
	return nil
}

// someOnly reports whether err, returned at the end of a listing, leaves the listed entries valid but
// the listing incomplete.
func someOnly(err error) bool {
	var line *ftp.LineError
	return errors.Is(err, ErrPartial) || errors.As(err, &line)
}
