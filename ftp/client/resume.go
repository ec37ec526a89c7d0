package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"miniftp/ftp"
)

// left opens the partial file of an earlier try or run. It returns nil if the file has to be
// fetched from its beginning.
//
// The version of a part from an earlier try, or with a Tag, is known: continuing compares it. For a
// part that an earlier run left for Resume only the size and time are known: resuming compares these.
// In both cases proceed also compares the last bytes.
func (d *download) left(ctx context.Context) (*part, error) {
	if d.o.ASCII {
		return nil, nil
	}
	if p := d.o.tries.reopen(); p != nil {
		return d.continuing(ctx, p, d.o.tries.version)
	}
	if d.o.Tag != "" {
		p, err := openPart(d.fsys, partName(d.local, d.o.Tag), d.local, d.o.Perms)
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

// continuing compares the version of a part with that of the remote file now. A part of another
// version is removed.
func (d *download) continuing(ctx context.Context, p *part, of version) (*part, error) {
	if !d.asked {
		now, err := d.c.version(ctx, d.remote)
		if err != nil {
			p.close()
			return nil, err
		}
		if d.asked = true; now.differs(d.v) && d.o.Tag != "" {
			d.o.Tag = VersionTag(now.size, now.modified)
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

// resuming checks whether the part of an earlier run can belong to the file as it is now. It
// returns nil if the part is empty.
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
		no.Why = "the server's file has been changed since"
	default:
		return p, nil
	}
	p.close()
	return nil, no
}

// proceed appends the rest of the file to a part. again reports that the file has to be fetched
// from its beginning instead.
func (d *download) proceed(ctx context.Context, p *part) (res Result, again bool, err error) {
	tail, err := readTail(p)
	if err != nil {
		p.close()
		return Result{}, false, err
	}
	// Without a size, nothing could show that the server has ignored REST.
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
	res, agreed, err := d.appendRest(ctx, p, tail)
	// The user's file was not touched: it gets its name back.
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
	case errors.Is(err, errOneConnection):
		return Result{}, true, d.startOver(ctx, p)
	case err == nil:
		if again, err = d.changed(ctx); again && err == nil {
			p.close()
			p.remove()
			return Result{}, true, nil
		}
	}
	return res, false, d.end(ctx, p, err)
}

// changed reports whether the remote file has changed since the transfer began.
func (d *download) changed(ctx context.Context) (bool, error) {
	now, err := d.c.version(ctx, d.remote)
	if err != nil || !now.differs(d.v) {
		return false, err
	}
	if d.v = now; d.o.Tag != "" {
		d.o.Tag = VersionTag(now.size, now.modified)
	}
	return true, nil
}

// moveAside renames a file that is not whole to the name of a part, if one is not in use.
func (p *part) moveAside() error {
	for _, name := range []string{partName(p.final, ""), partName(p.final, untagged), partName(p.final, randomTag())} {
		if _, err := lstat(p.fsys, name); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return p.rename(name)
	}
	return localError(&fs.PathError{Op: "rename", Path: p.name, Err: fs.ErrExist})
}

// appendRest appends the rest of the file to the part. agreed reports that the overlap was the same, so
// that the part may have grown.
func (d *download) appendRest(ctx context.Context, p *part, tail tail) (res Result, agreed bool, err error) {
	if _, err := p.f.Seek(tail.end, io.SeekStart); err != nil {
		return Result{}, false, &LocalError{Err: err}
	}
	j := &job{offset: tail.end - int64(len(tail.bytes))}
	o := &overlap{n: len(tail.bytes), short: d.resumeError(tail, notThere)}
	o.check = func(got []byte) error {
		if !bytes.Equal(got, tail.bytes) {
			return d.resumeError(tail, notTheSame)
		}
		return nil
	}
	d.c.expect(j, p.f, o)
	res, err = d.fetch(ctx, p, j)
	err, agreed = o.settle(&res, err), o.agreed
	if err != nil || d.v.size < 0 || tail.end+res.Bytes == d.v.size {
		return res, agreed, err
	}
	// More bytes came than were missing. Those before them are unchanged.
	if err := p.f.Truncate(tail.end); err != nil {
		return res, agreed, &LocalError{Err: err}
	}
	return res, agreed, d.resumeError(tail, fmt.Sprintf("the server sent %d bytes where %d were missing", res.Bytes, d.v.size-tail.end))
}

const (
	notTheSame = "the local part differs from what the server sends"
	notThere   = "the server's file is shorter, or the server did not send it"
)

func (d *download) resumeError(tail tail, why string) error {
	return &ResumeError{Path: d.local, Offset: tail.end, Why: why}
}

// tail is the last bytes of a part.
type tail struct {
	bytes []byte
	end   int64
	// ambiguous: the file begins with the same bytes, so comparing the tail can't detect a server
	// that ignores REST.
	ambiguous bool
}

func readTail(p *part) (tail, error) {
	t := tail{end: p.size()}
	var err error
	if t.bytes, err = lastBytes(p.f, t.end); err != nil {
		return tail{}, err
	}
	head, err := lastBytes(p.f, int64(len(t.bytes)))
	t.ambiguous = t.end > int64(len(head)) && bytes.Equal(head, t.bytes)
	return t, err
}
