package s3fs

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
)

// record is an object that says what is known of an upload of several parts, because S3 does not return the
// metadata of a multipart upload that is not complete. It is written when the multipart upload begins, and removed
// when that ends.
type record struct {
	Key      string
	UploadID string
	Owner    string
	Base     string // the ETag of the version that the upload replaces or changes; "" if there was none
	Size     int64  // of that version
	Into     bool   // the upload changes that version from Start on instead of replacing it
	Start    int64  `json:",omitempty"`
	Rule     int    // sizesRule
	Time     time.Time

	// Nonce is that of the session that writes the parts. A session that resumes the upload replaces it, and the
	// session that finds another one has lost the upload.
	Nonce string
	Made  string // the nonce of the session that began the upload, which is in the metadata of the file

	// Stale are the ETags of the parts after the first From ones, which were stored before the upload was resumed
	// there. They do not count until they are replaced.
	From  int      `json:",omitempty"`
	Stale []string `json:",omitempty"`

	name string // the key of this object
	etag string
}

// recordsBelow returns the prefix of the keys of records.
func (f *Fs) recordsBelow() string { return f.below(f.root) + reserved + "/uploads/" }

// recordName returns the key of the record for an upload of an owner to a key.
func (f *Fs) recordName(key, owner string) string {
	k, o := sha256.Sum256([]byte(key)), sha256.Sum256([]byte(owner))
	return f.recordsBelow() + hex.EncodeToString(k[:16]) + "-" + hex.EncodeToString(o[:16])
}

// aside returns the key of the record after a newer upload has taken its place.
func (r *record) aside() string { return r.name + "-" + r.Nonce[:8] }

func newNonce() string { return rand.Text() }

// putRecord writes a record. If it was read or written before, it must not have changed since, and if it was not, it
// must not exist; else the error is errPrecondition.
func (f *Fs) putRecord(ctx context.Context, r *record) error {
	content, err := json.Marshal(r)
	if err != nil {
		return err
	}
	opts := minio.PutObjectOptions{ContentType: "application/json"}
	if r.etag == "" {
		opts.SetMatchETagExcept("*")
	} else {
		opts.SetMatchETag(r.etag)
	}
	put, err := f.put(ctx, r.name, content, opts)
	if errors.Is(err, errPrecondition) {
		// It may have been this call, whose reply was lost.
		if got, e := f.getRecord(ctx, r.name); e == nil && got.Nonce == r.Nonce && got.UploadID == r.UploadID {
			r.etag = got.etag
			return nil
		}
	}
	if err == nil {
		r.etag = put.ETag
	}
	return err
}

// getRecord reads a record. The error is fs.ErrNotExist if there is none, or if it is malformed.
func (f *Fs) getRecord(ctx context.Context, name string) (*record, error) {
	return retry(ctx, f, func(ctx context.Context) (*record, error) {
		body, o, _, err := f.core.GetObject(ctx, f.bucket, name, minio.GetObjectOptions{})
		if err != nil {
			return nil, err
		}
		defer body.Close()
		content, err := io.ReadAll(io.LimitReader(body, 4<<20))
		if err != nil {
			return nil, err
		}
		r := &record{name: name, etag: o.ETag}
		if json.Unmarshal(content, r) != nil || r.UploadID == "" || r.Key == "" || len(r.Nonce) < 8 {
			return nil, minio.ErrorResponse{Code: "NoSuchKey"}
		}
		return r, nil
	})
}

// dropRecord removes a record, if it is still the one of that session.
func (f *Fs) dropRecord(ctx context.Context, r *record) error {
	got, err := f.getRecord(ctx, r.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case got.Nonce == r.Nonce:
		return f.deleteKey(ctx, r.name)
	case got.UploadID != r.UploadID:
		return f.deleteKey(ctx, r.aside())
	}
	return nil
}

// put stores an object by one request. Its length, its MD5 and, if the connection is not encrypted, its SHA-256
// are in the header, so it is never sent in the chunks of aws-chunked, which some stores keep as content.
func (f *Fs) put(ctx context.Context, key string, content []byte, opts minio.PutObjectOptions) (minio.UploadInfo, error) {
	opts.DisableContentSha256 = true
	sum := md5.Sum(content)
	return retry(ctx, f, func(ctx context.Context) (minio.UploadInfo, error) {
		return f.core.PutObject(ctx, f.bucket, key, bytes.NewReader(content), int64(len(content)),
			base64.StdEncoding.EncodeToString(sum[:]), f.sha256(content), opts)
	})
}

// sha256 returns the hash that signs a body, or "" if TLS protects it.
func (f *Fs) sha256(content []byte) string {
	if f.at.Endpoint.Scheme == "https" {
		return ""
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func (f *Fs) deleteKey(ctx context.Context, key string) error {
	_, err := retry(ctx, f, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.core.RemoveObject(ctx, f.bucket, key, minio.RemoveObjectOptions{})
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

// abort ends a multipart upload and removes its parts. A part that the store was still receiving can outlive the first
// request, so it asks again as long as the upload is listed.
func (f *Fs) abort(ctx context.Context, key, uploadID string) error {
	for range tries {
		_, err := retry(ctx, f, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, f.core.AbortMultipartUpload(ctx, f.bucket, key, uploadID)
		})
		if errors.Is(err, errNoUpload) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err = f.listParts(ctx, key, uploadID); err != nil {
			return nil // usually errNoUpload; otherwise the abort itself was accepted
		}
	}
	return syscall.EBUSY
}
