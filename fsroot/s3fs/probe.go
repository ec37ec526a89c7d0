package s3fs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
)

// Check is a result of [Fs.Probe].
type Check struct {
	Name string // what the store should be able to do
	OK   bool
	Err  error // if not
}

// Probe finds out whether the store can do what this package needs. It stores about 11 MiB below a name that clients
// don't see, and removes that again. The error is that of the first request; what fails after it is in the checks.
func (f *Fs) Probe(ctx context.Context) ([]Check, error) {
	p := &prober{f: f, ctx: ctx, prefix: f.below(f.root) + reserved + "/probe-" + newNonce() + "/"}
	first := p.prefix + "first"
	if _, err := f.put(ctx, first, []byte("first"), minio.PutObjectOptions{UserMetadata: map[string]string{timeKey: "1.5"}}); err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longer*f.transport.timeout)
		defer cancel()
		_ = f.removeBelow(ctx, p.prefix, nil)
	}()
	p.objects(first)
	p.multipart(first)
	p.directories()
	return p.checks, ctx.Err()
}

type prober struct {
	f      *Fs
	ctx    context.Context
	prefix string
	checks []Check
}

func (p *prober) check(name string, test func() error) {
	err := test()
	p.checks = append(p.checks, Check{name, err == nil, err})
}

// want returns an error unless err is of a kind.
func want(err, kind error) error {
	if err == nil {
		return errors.New("the store ignores the condition")
	}
	if !errors.Is(err, kind) {
		return err
	}
	return nil
}

func (p *prober) objects(first string) {
	f, ctx := p.f, p.ctx
	o := object{}
	p.check("metadata", func() (err error) {
		o, err = f.head(ctx, first)
		if err == nil && !o.mod.Equal(time.Unix(1, 5e8)) {
			err = errors.New("the metadata is missing")
		}
		return err
	})
	p.check("ranged GET", func() error {
		b := make([]byte, 3)
		_, err := f.readFull(ctx, o, b, 1)
		if err == nil && string(b) != "irs" {
			err = fmt.Errorf("got %q", b)
		}
		return err
	})
	p.check("PUT with If-None-Match", func() error {
		opts := minio.PutObjectOptions{}
		opts.SetMatchETagExcept("*")
		_, err := f.put(ctx, first, nil, opts)
		return want(err, errPrecondition)
	})
	p.check("PUT with If-Match", func() error {
		opts := minio.PutObjectOptions{}
		opts.SetMatchETag(anyETag)
		_, err := f.put(ctx, first, nil, opts)
		return want(err, errPrecondition)
	})
	p.check("copy, with a condition and new metadata", func() error {
		o, err := f.head(ctx, first)
		if err != nil {
			return err
		}
		if err := f.setTime(ctx, o, time.Unix(7, 0)); err != nil {
			return err
		}
		if now, err := f.head(ctx, first); err != nil || now.mod.Unix() != 7 {
			return errors.Join(err, errors.New("the metadata is the old one"))
		}
		o.etag = anyETag
		return want(f.copyObject(ctx, o, first+"-copy", false, nil), errChanged)
	})
}

// anyETag is that of no object.
const anyETag = "00000000000000000000000000000000"

// multipart checks uploads of several parts.
func (p *prober) multipart(first string) {
	f, ctx := p.f, p.ctx
	u := &upload{f: f, ctx: ctx, key: p.prefix + "parts", nonce: newNonce()}
	p.check("multipart upload", func() error {
		id, err := once(ctx, f, func(ctx context.Context) (string, error) {
			return f.core.NewMultipartUpload(ctx, f.bucket, u.key, u.options(time.Time{}))
		})
		if err == nil {
			u.record = &record{Key: u.key, UploadID: id, Made: u.nonce}
		}
		return err
	})
	if u.record == nil {
		return
	}
	defer func() { _ = f.abort(context.WithoutCancel(ctx), u.key, u.record.UploadID) }()
	p.parts(u, first)
	p.check("invisible until it is complete", func() error {
		_, err := f.head(ctx, u.key)
		return want(err, fs.ErrNotExist)
	})
	complete := func(condition func(*minio.PutObjectOptions)) error {
		opts := minio.PutObjectOptions{}
		condition(&opts)
		_, err := f.completeParts(ctx, u.key, u.record.UploadID, u.parts, opts, func() bool { return false })
		return err
	}
	p.check("completing with If-None-Match", func() error {
		if _, err := f.put(ctx, u.key, []byte("in the way"), minio.PutObjectOptions{}); err != nil {
			return err
		}
		return want(complete(func(o *minio.PutObjectOptions) { o.SetMatchETagExcept("*") }), errPrecondition)
	})
	p.check("completing with If-Match", func() error {
		return want(complete(func(o *minio.PutObjectOptions) { o.SetMatchETag(anyETag) }), errPrecondition)
	})
	p.check("completing", func() error {
		if err := complete(func(*minio.PutObjectOptions) {}); err != nil {
			return err
		}
		return u.verify(ctx, "", sum(u.parts), len(u.parts))
	})
}

func (p *prober) parts(u *upload, first string) {
	f, ctx := p.f, p.ctx
	data := bytes.Repeat([]byte("0123456789abcdef"), leastPt/16)
	send := func(n int, data []byte) error {
		sent, _, err := u.send(ctx, n, data)
		if err == nil {
			u.parts = append(u.parts, sent)
		}
		return err
	}
	p.check("part with Content-MD5", func() error { return send(1, data) })
	p.check("list of parts", func() error {
		k, err := f.keptOf(ctx, u.record)
		if err == nil && (len(k.parts) != 1 || k.size != int64(len(data))) {
			err = fmt.Errorf("listed are %d parts of %d bytes", len(k.parts), k.size)
		}
		return err
	})
	p.check("part of another size", func() error { return send(2, append(data, "more"...)) })
	p.check("UploadPartCopy of a range", func() error {
		o, err := f.head(ctx, first)
		if err != nil {
			return err
		}
		if err := u.copyFrom(ctx, o, 1, 4); err != nil {
			return err
		}
		o.etag = anyETag
		_, err = f.copyParts(ctx, o, u.key, u.record.UploadID, 4, 1, 4)
		return want(err, syscall.ESTALE)
	})
}

func (p *prober) directories() {
	f, ctx := p.f, p.ctx
	p.check("empty directory", func() error {
		if err := f.putMarker(ctx, p.prefix+"dir", true); err != nil {
			return err
		}
		page, err := f.page(pageOf{prefix: p.prefix + "dir/"})
		if err == nil && len(page.entries) != 1 {
			err = fmt.Errorf("listed are %d keys", len(page.entries))
		}
		return err
	})
	p.check("names with other letters", func() error {
		key := p.prefix + "dir/ä +%&#?='\"漢.txt"
		if _, err := f.put(ctx, key, nil, minio.PutObjectOptions{}); err != nil {
			return err
		}
		for e, err := range f.keys(p.prefix + "dir/ä") {
			if err != nil {
				return err
			}
			if e.key == key {
				return f.deleteKeys(ctx, []string{key})
			}
		}
		return errors.New("the listing does not have the name")
	})
}
