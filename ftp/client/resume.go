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

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/pi"
)

// maxOverlap is how many bytes both ends have to agree on before a file goes on.
// A server that says yes to REST and then sends from the beginning, or a file
// that is another one by now, is found out by them.
const maxOverlap = 4096

// left opens what an earlier try or run has left of the file. It is nil if the file has to
// be fetched from its beginning.
func (d *download) left(ctx context.Context) (*part, error) {
	if d.o.ASCII {
		return nil, nil
	}
	if p := d.o.tries.reopen(); p != nil {
		return d.continuing(ctx, p, d.o.tries.version)
	}
	if d.o.tag != "" {
		p, err := openPart(d.fsys, partName(d.local, d.o.tag), d.local, d.o.Perms)
		if err != nil {
			return nil, nil
		}
		return d.continuing(ctx, p, d.v)
	}
	if !d.o.Resume {
		return nil, nil
	}
	for _, name := range []string{partName(d.local, untagged), partName(d.local, ""), d.local} {
		p, err := openPart(d.fsys, name, d.local, d.o.Perms)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		if p, err = d.resuming(ctx, p); p != nil || err != nil {
			return p, err
		}
	}
	return nil, nil
}

// continuing compares the version that a part is of with that of the remote file now. A
// part of another version goes.
func (d *download) continuing(ctx context.Context, p *part, of version) (*part, error) {
	if !d.asked {
		now, err := d.c.version(ctx, d.remote)
		if err != nil {
			p.close()
			return nil, err
		}
		if d.asked = true; now.differs(d.v) && d.o.tag != "" {
			d.o.tag = versionTag(now.size, now.modified)
		}
		if d.v = now; now.size < 0 {
			d.v.size = of.size
		}
	}
	if have := p.size(); !of.differs(d.v) && have > 0 && (d.v.size < 0 || have <= d.v.size) {
		return p, nil
	}
	p.close()
	p.remove()
	return nil, nil
}

// resuming checks whether what an earlier run has left can be of the file as it is now. It
// is nil if nothing is left.
func (d *download) resuming(ctx context.Context, p *part) (*part, error) {
	have := p.size()
	if have == 0 {
		p.close()
		return nil, nil
	}
	now := d.v
	if !d.asked && now.modified.IsZero() {
		var err error
		if now, err = d.c.version(ctx, d.remote); err != nil {
			p.close()
			return nil, err
		}
	}
	no := &ResumeError{Path: d.local, Offset: have}
	switch {
	case d.v.size >= 0 && have > d.v.size:
		no.Why = fmt.Sprintf("the server's file has only %d bytes", d.v.size)
	case now.modified.Truncate(time.Second).After(p.info.ModTime()):
		no.Why = "the server's file was changed after that"
	default:
		return p, nil
	}
	p.close()
	return nil, no
}

// proceed appends the rest to a part. again reports that the file has to be fetched from
// its beginning.
func (d *download) proceed(ctx context.Context, p *part) (res Result, again bool, err error) {
	tail, err := readTail(p)
	if err != nil {
		p.close()
		return Result{}, false, err
	}
	if d.v.size < 0 && tail.ambiguous {
		p.close()
		return Result{}, true, nil
	}
	was := p.name
	if was == p.final { // a shorter file under the final name
		if err := p.moveAside(); err != nil {
			p.close()
			return Result{}, false, err
		}
	}
	res, agreed, err := d.goOn(ctx, p, tail)
	if !agreed && p.name != was {
		err = errors.Join(err, p.rename(was))
	}
	var no *ftp.Error
	var other *ResumeError
	switch {
	case errors.As(err, &no) && no.Verb == "REST" && isReply(err), errors.As(err, &other) && !d.o.Resume:
		p.close()
		return Result{}, true, nil
	case errors.As(err, &other):
		p.close()
		return res, false, err
	case err == nil:
		if again, err = d.changed(ctx); again && err == nil {
			p.close()
			p.remove()
			return Result{}, true, nil
		}
	}
	return res, false, d.end(ctx, p, err)
}

// changed reports whether the remote file has become another one while its rest came.
func (d *download) changed(ctx context.Context) (bool, error) {
	now, err := d.c.version(ctx, d.remote)
	if err != nil || !now.differs(d.v) {
		return false, err
	}
	if d.v = now; d.o.tag != "" {
		d.o.tag = versionTag(now.size, now.modified)
	}
	return true, nil
}

// moveAside gives a file that is not whole the name of a part, if nothing has that.
func (p *part) moveAside() error {
	for _, name := range []string{partName(p.final, ""), partName(p.final, untagged), partName(p.final, randomTag())} {
		if _, err := lstat(p.fsys, name); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return p.rename(name)
	}
	return localError(&fs.PathError{Op: "rename", Path: p.name, Err: fs.ErrExist})
}

// goOn appends the rest to the part. agreed: the overlap was the same, and the file may
// have grown.
func (d *download) goOn(ctx context.Context, p *part, tail tail) (res Result, agreed bool, err error) {
	if _, err := p.f.Seek(tail.end, io.SeekStart); err != nil {
		return Result{}, false, &LocalError{Err: err}
	}
	j := &job{offset: tail.end - int64(len(tail.bytes))}
	seam := &seam{Writer: p.f, want: tail.bytes}
	if d.c.mode() == ftp.Stream { // else the bytes on the connection are not those of the file
		j.opened = func(ctx context.Context, conn *dtp.Conn) error {
			err := d.compare(ctx, conn, j, tail)
			agreed = err == nil
			return err
		}
	} else {
		j.sink = seam
	}
	res, err = d.fetch(ctx, p, j)
	if j.sink == seam {
		agreed = len(seam.want) == 0
		res.Bytes = max(0, res.Bytes-int64(len(tail.bytes)))
		switch {
		case seam.wrong:
			err = d.cant(tail, notTheSame)
		case !agreed && err == nil:
			err = d.cant(tail, notThere)
		}
	}
	if err != nil || d.v.size < 0 || tail.end+res.Bytes == d.v.size {
		return res, agreed, err
	}
	// More came than was missing. The bytes before are still as they were.
	if err := p.f.Truncate(tail.end); err != nil {
		return res, agreed, &LocalError{Err: err}
	}
	return res, agreed, d.cant(tail, fmt.Sprintf("%d bytes came where %d were missing", res.Bytes, d.v.size-tail.end))
}

const (
	notTheSame = "what is here is not what the server sends"
	notThere   = "the server's file is shorter, or it did not come"
)

func (d *download) cant(tail tail, why string) error {
	return &ResumeError{Path: d.local, Offset: tail.end, Why: why}
}

// seam is a writer that compares the first bytes instead of writing them.
type seam struct {
	io.Writer
	want  []byte
	wrong bool
}

func (s *seam) Write(b []byte) (int, error) {
	n := min(len(b), len(s.want))
	if !bytes.Equal(b[:n], s.want[:n]) {
		s.wrong = true
		return 0, errors.New(notTheSame)
	}
	if s.want = s.want[n:]; n == len(b) {
		return n, nil
	}
	more, err := s.Writer.Write(b[n:])
	return n + more, err
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
		why = notThere
	case err != nil:
		return &dtp.BrokenError{Err: pi.Cause(err)}
	case !bytes.Equal(got, tail.bytes):
		why = notTheSame
	default:
		return nil
	}
	return d.cant(tail, why)
}

// tail is the end of what is there of a file.
type tail struct {
	bytes []byte
	end   int64
	// ambiguous: the file's beginning looks the same, so that the tail can't tell
	// a server that ignores REST.
	ambiguous bool
}

func readTail(p *part) (tail, error) {
	end := p.size()
	t := tail{bytes: make([]byte, min(end, maxOverlap)), end: end}
	head := make([]byte, len(t.bytes))
	start := end - int64(len(t.bytes))
	for at, b := range map[int64][]byte{0: head, start: t.bytes} {
		if _, err := p.f.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
			return tail{}, &LocalError{Err: err}
		}
	}
	t.ambiguous = start > 0 && bytes.Equal(head, t.bytes)
	return t, nil
}
