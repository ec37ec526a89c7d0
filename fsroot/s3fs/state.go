package s3fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"
)

// State returns the small values that several servers of one service share, for server.Options.State. Each value is
// an object below .miniftp/state. Its version is the ETag of the object, and it is changed only by conditional
// requests, so no change is lost. The store must support If-Match and If-None-Match; [Fs.Probe] finds out.
func (f *Fs) State() *State { return &State{f} }

// State holds values in a bucket. It is safe for concurrent use.
type State struct{ f *Fs }

// maxValue is the size of the largest value that is read.
const maxValue = 4 << 20

func (s *State) name(key string) string { return s.f.below(s.f.root) + reserved + "/state/" + key }

// Get returns a value and its version, or fs.ErrNotExist.
func (s *State) Get(ctx context.Context, key string) (value []byte, version string, err error) {
	type result struct {
		value   []byte
		version string
	}
	r, err := retry(ctx, s.f, func(ctx context.Context) (result, error) {
		body, o, _, err := s.f.core.GetObject(ctx, s.f.bucket, s.name(key), minio.GetObjectOptions{})
		if err != nil {
			return result{}, err
		}
		defer body.Close()
		value, err := io.ReadAll(io.LimitReader(body, maxValue))
		return result{value, o.ETag}, err
	})
	return r.value, r.version, err
}

// nonceHeader is the metadata with which Put recognizes an object that it has written itself.
const nonceHeader = "Nonce"

// Put stores a value if its version is still the given one, where "" means that there is none, and returns the new
// version. Otherwise the error is syscall.ESTALE.
func (s *State) Put(ctx context.Context, key string, value []byte, version string) (string, error) {
	nonce := newNonce()
	opts := minio.PutObjectOptions{ContentType: "application/json", UserMetadata: map[string]string{nonceHeader: nonce}}
	if version == "" {
		opts.SetMatchETagExcept("*")
	} else {
		opts.SetMatchETag(version)
	}
	put, err := s.f.put(ctx, s.name(key), value, opts)
	switch {
	case err == nil:
		return put.ETag, nil
	case errors.Is(err, errPrecondition), errors.Is(err, fs.ErrNotExist):
		// It may have been this call, whose reply was lost.
		if o, e := s.f.head(ctx, s.name(key)); e == nil && o.stored.UserMetadata[nonceHeader] == nonce {
			return o.etag, nil
		}
		return "", syscall.ESTALE
	}
	return "", err
}

// Delete removes a value if its version is still the given one. Otherwise the error is syscall.ESTALE. S3 has no
// conditional delete that all stores support, so a change between the check and the removal is lost.
func (s *State) Delete(ctx context.Context, key, version string) error {
	o, err := s.f.head(ctx, s.name(key))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && o.etag != version:
		return syscall.ESTALE
	case err != nil:
		return err
	}
	return s.f.deleteKey(ctx, s.name(key))
}

// Keys returns the keys that begin with prefix.
func (s *State) Keys(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for o, err := range s.f.keys(s.name(prefix)) {
			if err != nil {
				yield("", err)
				return
			}
			if !yield(strings.TrimPrefix(o.key, s.name("")), nil) {
				return
			}
		}
	}
}
