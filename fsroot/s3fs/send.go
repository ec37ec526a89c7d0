package s3fs

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
)

// nonceKey is the key of the metadata with the nonce of the upload that made a file. When a reply was
// lost, it shows whether the file is that of this upload.
const nonceKey = "miniftp-upload"

// sending is a part that is on its way while the next one is filled. After done is closed, the other fields are set.
type sending struct {
	number int
	buf    buffer
	stop   context.CancelFunc
	done   chan struct{}

	part  part
	clean bool
	err   error
}

// begin begins the multipart upload, if that has not happened yet, and writes its record.
func (u *upload) begin(ctx context.Context) error {
	if u.record == nil {
		id, err := once(ctx, u.f, func(ctx context.Context) (string, error) {
			return u.f.core.NewMultipartUpload(ctx, u.f.bucket, u.key, u.options(time.Time{}))
		})
		if err != nil {
			return err
		}
		r := &record{
			name: u.claims, Key: u.key, UploadID: id, Owner: u.owner, Base: u.base.etag, Size: u.base.size,
			Into: u.into, Start: u.start, Rule: sizesRule, Time: time.Now(), Nonce: u.nonce, Made: u.nonce,
		}
		if err := u.f.newRecord(ctx, r); err != nil {
			late, cancel := context.WithTimeout(context.WithoutCancel(ctx), u.f.transport.timeout)
			defer cancel()
			return errors.Join(err, u.f.abort(late, u.key, id))
		}
		u.record = r
	}
	if !u.into || u.start < u.f.sizes.least || sum(u.parts) >= u.record.Start {
		return nil
	}
	return u.copyOld(ctx, sum(u.parts), u.record.Start)
}

// recent is for how long an upload to which nothing was added may still be running.
const recent = 5 * time.Minute

// newRecord writes the record of a new upload. It takes the place of that of an older upload of the same owner, which
// can't be resumed any more: its bytes may be those of another file. If the older one may still be running, in this
// process or another, it may end, and its record is put aside for the sweep. Else it is removed.
func (f *Fs) newRecord(ctx context.Context, r *record) error {
	for range tries {
		err := f.putRecord(ctx, r)
		if !errors.Is(err, errPrecondition) {
			return err
		}
		old, err := f.getRecord(ctx, r.name)
		if errors.Is(err, fs.ErrNotExist) { // gone meanwhile, or malformed
			r.etag = ""
			if err := f.deleteKey(ctx, r.name); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		k, err := f.keptOf(ctx, old)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case time.Since(k.newest) < recent, f.runs(r.name) > 1:
			aside := *old
			aside.name, aside.etag = old.aside(), ""
			if err := f.putRecord(ctx, &aside); err != nil && !errors.Is(err, errPrecondition) {
				return err
			}
		default:
			if err := f.abort(ctx, old.Key, old.UploadID); err != nil {
				return err
			}
		}
		r.etag = old.etag
	}
	return syscall.EBUSY
}

func sum(parts []part) (size int64) {
	for _, p := range parts {
		size += p.size
	}
	return size
}

// options returns the metadata of the file.
func (u *upload) options(modified time.Time) minio.PutObjectOptions {
	meta := map[string]string{nonceKey: u.nonce}
	if u.hold {
		meta[baseKey] = u.version
	}
	if !modified.IsZero() {
		meta[timeKey] = formatTime(modified)
	}
	return minio.PutObjectOptions{UserMetadata: meta}
}

// flush sends the buffer as the next part. If memory for one more part is free at once, it is sent while the
// caller continues, unless wait is set.
func (u *upload) flush(ctx context.Context, wait bool) error {
	if err := u.begin(ctx); err != nil {
		return err
	}
	if err := u.settle(ctx); err != nil {
		return err
	}
	n := len(u.parts) + 1
	if n > maxParts {
		return syscall.EFBIG
	}
	next := u.f.sizes.of(n + 1)
	if !wait && u.f.pool.try(next) {
		sendCtx, stop := context.WithCancel(u.ctx)
		s := &sending{number: n, buf: u.buf, stop: stop, done: make(chan struct{})}
		u.buf = buffer{b: u.f.pool.memory(next), held: next}
		u.sending = s
		if !u.f.start(func() {
			defer close(s.done)
			s.part, s.clean, s.err = u.send(sendCtx, n, s.buf.b)
		}) {
			s.err = fs.ErrClosed
			close(s.done)
		}
		return nil
	}
	p, clean, err := u.send(ctx, n, u.buf.b)
	if err != nil {
		return err
	}
	u.parts = append(u.parts, p)
	u.buf.next(u.f, next, clean)
	return nil
}

// settle waits for the part that is on its way. If it could not be sent, it is sent again: ctx may be another one.
func (u *upload) settle(ctx context.Context) error {
	s := u.sending
	if s == nil {
		return nil
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.err != nil {
		if s.part, _, s.err = u.send(ctx, s.number, s.buf.b); s.err != nil {
			return s.err
		}
		s.clean = false
	}
	s.stop()
	u.parts = append(u.parts, s.part)
	s.buf.free(u.f, s.clean)
	u.sending = nil
	return nil
}

// send sends a part and compares the ETag of the store. clean reports that nothing reads data any more; a request
// that failed may still do so for a moment.
func (u *upload) send(ctx context.Context, number int, data []byte) (p part, clean bool, err error) {
	hash := md5.Sum(data)
	opts := minio.PutObjectPartOptions{
		Md5Base64:            base64.StdEncoding.EncodeToString(hash[:]),
		Sha256Hex:            u.f.sha256(data),
		DisableContentSha256: true,
	}
	requests := 0
	stored, err := retry(ctx, u.f, func(ctx context.Context) (minio.ObjectPart, error) {
		requests++
		return u.f.core.PutObjectPart(ctx, u.f.bucket, u.key, u.record.UploadID, number, bytes.NewReader(data), int64(len(data)), opts)
	})
	if se := (*storeError)(nil); errors.As(err, &se) && se.public == publicUnheard {
		// A store that refuses a part may close the connection before the reply can be read.
		if _, e := u.f.listParts(ctx, u.key, u.record.UploadID); errors.Is(e, errNoUpload) {
			err = errNoUpload
		}
	}
	if errors.Is(err, errNoUpload) {
		err = syscall.ESTALE
	}
	if err == nil && stored.ETag == "" {
		err = &storeError{publicFailed, fmt.Errorf("part %d has no ETag", number)}
	}
	if err == nil && !u.f.agrees(stored.ETag, hash[:]) {
		err = &storeError{publicDamage, fmt.Errorf("part %d: ETag %q, want %x", number, stored.ETag, hash)}
	}
	return part{number: number, size: int64(len(data)), etag: stored.ETag}, requests == 1, err
}

// agrees compares an ETag with an MD5. Not every ETag is one: that of an encrypted object looks like one but is not.
func (f *Fs) agrees(etag string, hash []byte) bool {
	if f.transport.kms.Load() || strings.HasSuffix(f.bucket, "--x-s3") {
		return true
	}
	got, err := hex.DecodeString(strings.Trim(etag, `"`))
	return err != nil || len(got) != md5.Size || bytes.Equal(got, hash)
}

// copyOld lets the store copy bytes of the old version as the next parts.
func (u *upload) copyOld(ctx context.Context, from, to int64) error {
	return u.copyFrom(ctx, u.base, from, to)
}

func (u *upload) copyFrom(ctx context.Context, o object, from, to int64) error {
	parts, err := u.f.copyParts(ctx, o, u.key, u.record.UploadID, len(u.parts)+1, from, to)
	u.parts = append(u.parts, parts...)
	return err
}

// copiesAtOnce is how many parts of a file are copied at once.
const copiesAtOnce = 4

// copyParts copies bytes of an object into parts of a multipart upload. It returns those that are contiguous from the
// first on, also if there is an error. That is ESTALE if the object has changed.
func (f *Fs) copyParts(ctx context.Context, from object, key, uploadID string, first int, at, end int64) ([]part, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg    sync.WaitGroup
		parts []part
		spans [][2]int64
		slots = make(chan struct{}, copiesAtOnce)
	)
	_ = f.sizes.split(at, end, func(at, n int64) error {
		parts = append(parts, part{number: first + len(parts), size: n})
		spans = append(spans, [2]int64{at, n})
		return nil
	})
	if first+len(parts)-1 > maxParts {
		return nil, syscall.EFBIG
	}
	match := map[string]string{"X-Amz-Copy-Source-If-Match": quote(from.etag)}
	for i := range parts {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			done, err := retry(ctx, f, func(ctx context.Context) (minio.CompletePart, error) {
				return f.core.CopyObjectPart(ctx, f.bucket, from.key, f.bucket, key, uploadID, parts[i].number, spans[i][0], spans[i][1], match)
			})
			switch {
			case errors.Is(err, errPrecondition), errors.Is(err, fs.ErrNotExist), errors.Is(err, errNoUpload):
				err = syscall.ESTALE
			case err == nil && strings.Trim(done.ETag, `"`) == "":
				err = &storeError{publicFailed, errors.New("a copied part has no ETag")}
			}
			if err != nil {
				cancel(err)
				return
			}
			parts[i].etag = strings.Trim(done.ETag, `"`)
		})
	}
	wg.Wait()
	for i, p := range parts {
		if p.etag == "" {
			return parts[:i], f.ifChanged(from, context.Cause(ctx))
		}
	}
	return parts, nil
}

// ifChanged returns ESTALE instead of err if an object is not the same any more. Stores may check the range of a copy
// first, and then the condition.
func (f *Fs) ifChanged(o object, err error) error {
	if f.life.Err() != nil || errors.Is(err, syscall.ESTALE) {
		return err
	}
	if now, e := f.head(f.life, o.key); errors.Is(e, fs.ErrNotExist) || (e == nil && now.etag != o.etag) {
		return syscall.ESTALE
	}
	return err
}
