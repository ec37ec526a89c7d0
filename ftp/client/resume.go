package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// maxOverlap is how many bytes both ends have to agree on before a file goes on.
// A server that says yes to REST and then sends from the beginning, or a file
// that is another one by now, is found out by them.
const maxOverlap = 4096

// resume goes on with what is there. It reports false, and has changed nothing,
// if the file has to be fetched from its beginning.
func (d *download) resume(ctx context.Context) (res Result, resumed bool, err error) {
	if !d.o.Resume && !d.o.Retry || d.o.ASCII {
		return Result{}, false, nil
	}
	name := d.part
	have, err := regularSize(d.fsys, name)
	if have == 0 && err == nil && d.o.Resume {
		name = d.local
		have, err = regularSize(d.fsys, name)
	}
	if have == 0 || err != nil {
		return Result{}, false, err
	}
	if d.size >= 0 && have > d.size {
		return Result{}, false, &ResumeError{
			Path: d.local, Offset: have,
			Why: fmt.Sprintf("the server's file has only %d bytes", d.size),
		}
	}
	tail, err := readTail(d.fsys, name, have)
	if err != nil {
		return Result{}, false, err
	}
	if d.size < 0 && tail.ambiguous {
		return Result{}, false, nil
	}
	if name != d.part {
		if err := d.fsys.Rename(name, d.part); err != nil {
			return Result{}, false, &LocalError{Err: err}
		}
	}
	res, agreed, err := d.goOn(ctx, tail)
	if !agreed && name != d.part {
		err = errors.Join(err, localError(d.fsys.Rename(d.part, name)))
	}
	var no *ftp.Error
	if errors.As(err, &no) && no.Verb == "REST" && isReply(err) {
		return Result{}, false, nil
	}
	return res, true, err
}

// goOn appends the rest to the part file. agreed: the overlap was the same, and
// the file may have grown.
func (d *download) goOn(ctx context.Context, tail tail) (res Result, agreed bool, err error) {
	f, err := d.fsys.OpenFile(d.part, os.O_WRONLY, 0)
	if err != nil {
		return Result{}, false, &LocalError{Err: err}
	}
	if _, err := f.Seek(tail.end, io.SeekStart); err != nil {
		_ = f.Close()
		return Result{}, false, &LocalError{Err: err}
	}
	j := &job{offset: tail.end - int64(len(tail.bytes))}
	j.opened = func(ctx context.Context, conn *dtp.Conn) error {
		err := d.compare(ctx, conn, j, tail)
		agreed = err == nil
		return err
	}
	res, err = d.fetch(ctx, f, j)
	if err != nil || d.size < 0 || tail.end+res.Bytes == d.size {
		return res, agreed, err
	}
	// More came than was missing. The bytes before are still as they were.
	if err := d.cutBack(tail.end); err != nil {
		return res, agreed, err
	}
	return res, agreed, &ResumeError{
		Path: d.local, Offset: tail.end,
		Why: fmt.Sprintf("%d bytes came where %d were missing", res.Bytes, d.size-tail.end),
	}
}

func (d *download) cutBack(size int64) error {
	f, err := d.fsys.OpenFile(d.part, os.O_WRONLY, 0)
	if err != nil {
		return &LocalError{Err: err}
	}
	err = f.Truncate(size)
	return localError(errors.Join(err, f.Close()))
}

// compare takes the overlap off the data connection, before the kernel moves the
// rest.
func (d *download) compare(ctx context.Context, conn *dtp.Conn, j *job, tail tail) error {
	if err := conn.SetReadDeadline(time.Now().Add(d.c.opts.Timeout)); err != nil {
		return &dtp.BrokenError{Err: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	got := make([]byte, len(tail.bytes))
	n, err := io.ReadFull(conn, got)
	j.skipped = int64(n)
	why := ""
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return dtp.ErrStalled
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		why = "the server's file is shorter, or it did not come"
	case err != nil:
		return &dtp.BrokenError{Err: lost(err)}
	case !bytes.Equal(got, tail.bytes):
		why = "what is here is not what the server sends"
	default:
		return nil
	}
	return &ResumeError{Path: d.local, Offset: tail.end, Why: why}
}

// tail is the end of what is there of a file.
type tail struct {
	bytes []byte
	end   int64
	// ambiguous: the file's beginning looks the same, so that the tail can't tell
	// a server that ignores REST.
	ambiguous bool
}

func readTail(fsys afero.Fs, name string, end int64) (tail, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return tail{}, &LocalError{Err: err}
	}
	defer f.Close()
	t := tail{bytes: make([]byte, min(end, maxOverlap)), end: end}
	head := make([]byte, len(t.bytes))
	start := end - int64(len(t.bytes))
	for at, b := range map[int64][]byte{0: head, start: t.bytes} {
		if _, err := f.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
			return tail{}, &LocalError{Err: err}
		}
	}
	t.ambiguous = start > 0 && bytes.Equal(head, t.bytes)
	return t, nil
}

// freshPart makes the file that a copy grows in, in place of whatever has its name: a
// link there is not written through.
func freshPart(fsys afero.Fs, name string) (afero.File, error) {
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, &LocalError{Err: err}
	}
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, &LocalError{Err: err}
	}
	return f, nil
}

// regularSize is the size of a file, 0 if there is none, or what is there is a link.
func regularSize(fsys afero.Fs, name string) (int64, error) {
	look := fsys.Stat
	if l, ok := fsys.(afero.Lstater); ok {
		look = func(name string) (fs.FileInfo, error) {
			info, _, err := l.LstatIfPossible(name)
			return info, err
		}
	}
	info, err := look(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, &LocalError{Err: err}
	case !info.Mode().IsRegular():
		return 0, nil
	}
	return info.Size(), nil
}
