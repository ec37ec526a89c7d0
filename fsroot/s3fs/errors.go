package s3fs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"
)

var (
	// errPrecondition is returned for a condition of a request that does not hold. The caller knows what that
	// means and replaces the error.
	errPrecondition = errors.New("the condition of the request does not hold")

	// errNoUpload is returned for a multipart upload that does not exist or has ended.
	errNoUpload = errors.New("the multipart upload does not exist")

	// errNoProgress is the cause of the end of a request during which nothing moved for too long.
	errNoProgress = errors.New("nothing moved for too long")
)

// storeError is an error of the store for which Go has no error. Its text is for the log.
type storeError struct {
	public string
	err    error
}

func (e *storeError) Error() string { return e.public + ": " + e.err.Error() }
func (e *storeError) Unwrap() error { return e.err }

// Public returns a sentence for clients, without names of hosts, buckets or keys.
func (e *storeError) Public() string { return e.public }

// resumeError is returned for an offset at which an upload can't be resumed.
type resumeError struct{ at int64 }

func (e *resumeError) Error() string {
	return fmt.Sprintf("the upload can be resumed only at %d", e.at)
}

// ResumeAt returns the offset at which the upload can be resumed.
func (e *resumeError) ResumeAt() int64 { return e.at }

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return &fs.PathError{Op: op, Path: virtual(name), Err: err}
}

const (
	publicBusy    = "the storage is busy: try again in a moment"
	publicUnheard = "the storage can't be reached"
	publicBucket  = "the bucket does not exist"
	publicLogin   = "the storage refused the credentials"
	publicClock   = "the clocks of the server and the storage differ"
	publicDamage  = "the storage has stored other bytes than were sent"
	publicFailed  = "the storage reported an error"
)

// codes holds the errors that the codes of stores stand for.
var codes = map[string]error{
	"NoSuchKey":                  fs.ErrNotExist,
	"NoSuchVersion":              fs.ErrNotExist,
	"NotFound":                   fs.ErrNotExist,
	"NoSuchUpload":               errNoUpload,
	"AccessDenied":               fs.ErrPermission,
	"AllAccessDisabled":          fs.ErrPermission,
	"AccountProblem":             fs.ErrPermission,
	"ObjectLocked":               fs.ErrPermission,
	"PreconditionFailed":         errPrecondition,
	"ConditionalRequestConflict": errPrecondition,
	"QuotaExceeded":              syscall.EDQUOT,
	"InsufficientStorage":        syscall.ENOSPC,
	"XMinioStorageFull":          syscall.ENOSPC,
	"EntityTooLarge":             syscall.EFBIG,
	"KeyTooLongError":            syscall.ENAMETOOLONG,
	"KeyTooLong":                 syscall.ENAMETOOLONG,
	"InvalidPart":                syscall.ESTALE,
	"InvalidPartOrder":           syscall.ESTALE,
	"NotImplemented":             errors.ErrUnsupported,
	"MethodNotAllowed":           errors.ErrUnsupported,

	// VersityGW keeps objects in files and directories of a disk.
	"ObjectParentIsFile":      syscall.ENOTDIR,
	"ObjectExistsAsDirectory": syscall.EISDIR,
	"DirectoryNotEmpty":       syscall.ENOTEMPTY,
}

var publics = map[string]string{
	"NoSuchBucket":          publicBucket,
	"InvalidBucketName":     publicBucket,
	"InvalidAccessKeyId":    publicLogin,
	"SignatureDoesNotMatch": publicLogin,
	"XAdminUserNotFound":    publicLogin, // VersityGW
	"ExpiredToken":          publicLogin,
	"InvalidToken":          publicLogin,
	"InvalidSecurity":       publicLogin,
	"RequestTimeTooSkewed":  publicClock,
	"BadDigest":             publicDamage,
	"SlowDown":              publicBusy,
	"SlowDownRead":          publicBusy,
	"SlowDownWrite":         publicBusy,
	"Throttling":            publicBusy,
	"ServiceUnavailable":    publicBusy,
	"RequestTimeout":        publicBusy,
}

// mapError returns the error of a request as one that the callers of this package expect.
func (f *Fs) mapError(err error) error {
	if err == nil {
		return nil
	}
	if f.life.Err() != nil {
		return fs.ErrClosed
	}
	var answer minio.ErrorResponse
	switch {
	case errors.Is(err, errNoProgress):
		return &storeError{publicUnheard, err}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case !errors.As(err, &answer):
		return &storeError{publicUnheard, f.withoutRequest(err)}
	}
	if known, ok := codes[answer.Code]; ok {
		return known
	}
	detail := fmt.Errorf("%s, status %d: %q", plain(answer.Code), answer.StatusCode, plain(answer.Message))
	if public, ok := publics[answer.Code]; ok {
		return &storeError{public, detail}
	}
	switch answer.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		return fs.ErrPermission
	case http.StatusPreconditionFailed:
		return errPrecondition
	case http.StatusNotImplemented:
		return errors.ErrUnsupported
	case http.StatusInsufficientStorage:
		return syscall.ENOSPC
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusRequestTimeout:
		return &storeError{publicBusy, detail}
	}
	return &storeError{publicFailed, detail}
}

// withoutRequest returns the error of a request without its URL, which is long and says nothing to a person.
func (f *Fs) withoutRequest(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s: %w", f.at.Endpoint.Host, u.Err)
	}
	return err
}

// plain shortens a text of the store for the log.
func plain(s string) string {
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}

// temporary reports whether a request that failed may succeed if it is sent again.
func temporary(err error) bool {
	var answer minio.ErrorResponse
	switch {
	case errors.Is(err, errNoProgress), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case !errors.As(err, &answer):
		return !errors.As(err, new(*tls.CertificateVerificationError)) && !strings.Contains(err.Error(), "HTTP response to HTTPS client")
	}
	switch answer.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout, http.StatusTooManyRequests, http.StatusRequestTimeout:
		return true
	}
	return answer.Code == "RequestTimeout" || answer.Code == "ConditionalRequestConflict"
}
