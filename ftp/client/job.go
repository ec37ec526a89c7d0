package client

import (
	"context"
	"io"
	"sync/atomic"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// job is one transfer as the Client runs it: exactly one of source and sink is set.
type job struct {
	verb, arg string
	dir       ftp.Direction
	typ       ftp.Type // to ask the server for, and of the bytes unless raw
	anyType   bool     // the verb does not depend on TYPE
	unbounded bool     // more bytes than want are taken, for sink to judge
	anyMode   bool     // it is short: it may come as the transfer mode is
	raw       bool     // the bytes are not to be converted
	offset    int64
	want      int64 // bytes of the whole file, -1 if unknown
	source    io.Reader
	length    int64 // bytes in source, 0: until its end
	early     bool  // source is sent before the server says that it begins; rewind is set
	sink      io.Writer
	least     *atomic.Int64 // dtp.Job.Least
	progress  func(done, total int64)
	// opened runs before the first byte of a retrieve; ctx ends with the transfer.
	opened func(ctx context.Context, conn *dtp.Conn) error
	agreed func()       // runs when the server said that it begins
	rewind func() error // source or sink to where they were at the start; nil: can't

	began   ftp.Reply // the first preliminary reply
	skipped int64     // bytes that opened took off the connection
}

// take fills in what is to be done.
func (j *job) take(verb string, dir ftp.Direction, t Transfer) {
	j.verb, j.arg, j.dir = verb, t.Path, dir
	j.offset, j.want, j.progress, j.typ = t.Offset, -1, t.Progress, ftp.Image
	if t.ASCII {
		j.typ = ftp.ASCII
	} else if t.Size > 0 {
		j.want = t.Size
	}
}

// again makes a job ready to be done again, if none of its bytes would be lost or come
// twice.
func (j *job) again(res Result) bool {
	ok := res.Bytes == 0 && j.skipped == 0 && !j.early && (j.dir == ftp.Retrieve || j.began.Code == 0)
	if !ok && j.rewind != nil {
		ok = j.rewind() == nil
	}
	j.skipped, j.began = 0, ftp.Reply{}
	return ok
}

// told is the Job's Progress.
func (j *job) told() func(int64) {
	if j.progress == nil {
		return nil
	}
	return func(n int64) { j.progress(j.offset+j.skipped+n, j.want) }
}
