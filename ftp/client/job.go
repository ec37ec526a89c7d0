package client

import (
	"context"
	"io"
	"sync/atomic"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// job is one transfer as the Client runs it. Exactly one of source and sink is set.
type job struct {
	verb, arg string
	dir       ftp.Direction
	typ       ftp.Type // the type to request, and the type of the bytes unless raw
	anyType   bool     // the verb does not depend on TYPE
	unbounded bool     // pass bytes beyond want to sink, too: its error ends the transfer
	anyMode   bool     // the transfer is short: use the transfer mode that is set already
	raw       bool     // do not convert the bytes
	offset    int64
	want      int64 // size of the whole file in bytes, -1 if unknown
	source    io.Reader
	length    int64 // bytes in source; 0: read it to its end
	early     bool  // send source before the server says that it begins; needs rewind
	sink      io.Writer
	limit     *atomic.Int64 // lowers the number of bytes to fetch while the job runs (dtp.Job.Least); nil: it is fixed
	progress  func(done, total int64)
	// opened runs before the first byte of a retrieve; ctx ends with the transfer.
	opened func(ctx context.Context, conn *dtp.Conn) error
	agreed func()       // runs when the server says that it begins
	rewind func() error // moves source or sink back to the start; nil: not possible

	began   ftp.Reply // the first preliminary reply
	skipped int64     // bytes that opened has read from the connection
}

// fill sets the command and the description of the transfer.
func (j *job) fill(verb string, dir ftp.Direction, t Transfer) {
	j.verb, j.arg, j.dir = verb, t.Path, dir
	j.offset, j.want, j.progress, j.typ = t.Offset, -1, t.Progress, ftp.Image
	if t.ASCII {
		j.typ = ftp.ASCII
	} else if t.Size > 0 {
		j.want = t.Size
	}
}

// again prepares a job for a second attempt. It reports false if bytes would be lost or be
// transferred twice.
func (j *job) again(res Result) bool {
	// A source or sink that can't be rewound must not have been used. Bytes of an early upload, or sent after
	// the 150, are used up even if the server has not counted them.
	ok := res.Bytes == 0 && j.skipped == 0 && !j.early && (j.dir == ftp.Retrieve || j.began.Code == 0)
	if !ok && j.rewind != nil {
		ok = j.rewind() == nil
	}
	j.skipped, j.began = 0, ftp.Reply{}
	return ok
}

// progressFunc returns the Progress function of the dtp.Job, or nil.
func (j *job) progressFunc() func(int64) {
	if j.progress == nil {
		return nil
	}
	return func(n int64) { j.progress(j.offset+j.skipped+n, j.want) }
}
