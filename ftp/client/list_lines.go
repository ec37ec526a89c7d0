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

// maxLine bounds one line of a listing, in bytes.
const maxLine = 64 << 10

// lines runs a listing and yields its lines without their ends, as they come;
// errStopped if yield had enough.
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
	defer func() { _ = s.Close() }() // its verdict came with the last line
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
		text := strings.TrimRight(strings.TrimSuffix(string(line), "\n"), "\r") // some end lines in CR CR LF
		if c.opts.Observer != nil && text != "" {
			c.tell(ftp.Listed{Line: text})
		}
		c.halfLine = cut
		switch {
		case cut && verb == "MLSD":
			return &TruncatedError{Want: -1, Got: res.Bytes, Final: res.Final, Err: errHalfLine}
		case cut && verb == "LIST" && res.cutShort: // half a name is another name
			return fmt.Errorf("the last line has no end: %w", &ftp.LineError{Line: c.decode(text)})
		case text != "" && !yield(c.decode(text)):
			return errStopped
		case err != nil:
			return listed(verb, res, begun || n > 0)
		}
	}
}

var (
	// errNotBegun is returned for an empty listing that the server ended without having
	// begun it.
	errNotBegun = fmt.Errorf("%w: the server ended it without a reply that it begins", ErrPartial)

	// errNoNotify is returned for a listing under TLS whose data connection was closed
	// without the close_notify that RFC 8446 §6.1 demands: others may have cut it.
	errNoNotify = fmt.Errorf("%w: TLS did not end properly, so names may be missing at its end", ErrPartial)
)

// listed is the verdict on a listing that ended without an error. There are servers that say
// 226 to a directory that they can't read, or have not listed to its end.
func listed(verb string, res Result, begun bool) error {
	text := strings.ToLower(strings.Join(res.Final.Lines, "\n"))
	switch {
	case strings.Contains(text, "failed to open"), strings.Contains(text, "but failed"):
		return &ftp.Error{Verb: verb, Reply: res.Final}
	case strings.Contains(text, "truncated"):
		return fmt.Errorf("%w: the server says %v", ErrPartial, res.Final)
	case res.cutShort:
		return errNoNotify
	case !begun:
		return errNotBegun
	}
	return nil
}

// someOnly reports whether err, the end of a listing, leaves what was listed right, but
// not all that there is.
func someOnly(err error) bool {
	var line *ftp.LineError
	return errors.Is(err, ErrPartial) || errors.As(err, &line)
}
