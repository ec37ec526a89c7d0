package s3fs

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	defaultTimeout = 30 * time.Second
	longer         = 10 // times the timeout, for requests with which the store moves data by itself
)

// transport ends requests during which nothing moves, and all requests when the Fs is closed. Requests of minio-go
// without a context need it, too.
type transport struct {
	next    http.RoundTripper
	life    context.Context
	timeout time.Duration
	own     *http.Transport // next, unless that was an option
	kms     atomic.Bool     // the store encrypts with KMS, so an ETag is no MD5
}

func newTransport(life context.Context, o *Options, secure bool) *transport {
	t := &transport{next: o.Transport, life: life, timeout: cmp.Or(o.Timeout, defaultTimeout)}
	if t.next == nil {
		next, err := minio.DefaultTransport(secure)
		if err != nil { // the certificates of the system can't be read
			next = &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true}
		}
		next.MaxIdleConnsPerHost = next.MaxIdleConns
		next.ResponseHeaderTimeout = 0 // RoundTrip has deadlines of its own
		t.next, t.own = next, next
	}
	return t
}

func (t *transport) close() {
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
}

// limit returns how long a request may make no progress.
func (t *transport) limit(req *http.Request) time.Duration {
	completes := req.Method == http.MethodPost && strings.Contains(req.URL.RawQuery, "uploadId=")
	renames := strings.HasPrefix(req.URL.RawQuery, "mv.from=")
	if completes || renames || req.Header.Get("X-Amz-Copy-Source") != "" {
		return longer * t.timeout
	}
	return t.timeout
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	limit := t.limit(req)
	watch := &watch{limit: limit, timer: time.AfterFunc(limit, func() { cancel(errNoProgress) })}
	stopLife := context.AfterFunc(t.life, func() { cancel(fs.ErrClosed) })
	end := func() {
		watch.timer.Stop()
		stopLife()
		cancel(nil)
	}
	req = req.Clone(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &sendBody{ReadCloser: req.Body, watch: watch}
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		end()
		return nil, err
	}
	watch.timer.Stop()
	if strings.HasPrefix(resp.Header.Get("X-Amz-Server-Side-Encryption"), "aws:kms") {
		t.kms.Store(true)
	}
	resp.Body = &receiveBody{body: resp.Body, ctx: ctx, watch: watch, end: end}
	return resp, nil
}

// watch is the deadline of a request.
type watch struct {
	limit time.Duration
	timer *time.Timer
}

// sendBody moves the deadline while a body is sent.
type sendBody struct {
	io.ReadCloser
	watch *watch
}

func (b *sendBody) Read(p []byte) (int, error) {
	b.watch.timer.Reset(b.watch.limit)
	return b.ReadCloser.Read(p)
}

// receiveBody has a deadline for each Read. Between them the reader may take its time.
type receiveBody struct {
	body  io.ReadCloser
	ctx   context.Context
	watch *watch
	end   func()
}

func (b *receiveBody) Read(p []byte) (int, error) {
	b.watch.timer.Reset(b.watch.limit)
	n, err := b.body.Read(p)
	b.watch.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

func (b *receiveBody) Close() error {
	err := b.body.Close()
	b.end()
	return err
}
