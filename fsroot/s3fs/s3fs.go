package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Options holds the settings of a [Fs] that are not in its URL. The zero value is ready to use.
type Options struct {
	// Timeout is how long a request may wait while nothing moves. The default is 30 seconds. Requests with which
	// the store copies or assembles files have ten times as long.
	Timeout time.Duration

	// AccessKey and SecretKey are used instead of the credentials of the environment, if AccessKey is not empty.
	// Token is that of temporary credentials.
	AccessKey, SecretKey, Token string

	// Transport sends the requests. The default is that of net/http with the proxy of the environment.
	Transport http.RoundTripper
}

// Fs is a filesystem in a bucket. It is safe for concurrent use, but an open file is not, except for ReadAt. Its
// errors are of type *fs.PathError. If the store fails, they wrap an error with a method Public, which returns a
// sentence that clients may see.
//
// Everything that is running on a Fs ends when it is closed.
type Fs struct {
	core      *minio.Core
	transport *transport
	bucket    string
	root      string // the key of the root directory, without a slash at the end
	at        Location
	shared    bool // the transport is that of another Fs; see Sub
	pool      *pool
	sizes     sizes
	backoff   time.Duration // before a request is sent again; longer before the third time

	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup // goroutines of listings and uploads

	skipped atomic.Int64

	mu      sync.Mutex
	running map[string]int // how many uploads with that record run in this process
}

// Open returns the filesystem at a URL of the form that [Parse] describes. ctx is only for opening. The error says
// if the bucket does not exist or can't be read.
//
// Credentials are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of AWS_PROFILE in ~/.aws/credentials (or
// AWS_SHARED_CREDENTIALS_FILE), or of the machine or container in which the process runs, in this order.
func Open(ctx context.Context, rawURL string, o *Options) (*Fs, error) {
	l, err := Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if o == nil {
		o = &Options{}
	}
	f, err := newFs(l, o)
	if err != nil {
		return nil, err
	}
	if err := f.firstLook(ctx); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", l, err)
	}
	return f, nil
}

// newFs returns a Fs that has sent no request yet.
func newFs(l *Location, o *Options) (*Fs, error) {
	life, end := context.WithCancel(context.Background())
	f := &Fs{
		bucket: l.Bucket, root: l.Prefix, at: *l,
		pool:  newPool(l.Memory),
		sizes: defaultSizes(l.Memory), backoff: 100 * time.Millisecond,
		life: life, end: end,
		running: map[string]int{},
	}
	f.transport = newTransport(life, o, l.Endpoint.Scheme == "https")
	lookup := map[string]minio.BucketLookupType{"yes": minio.BucketLookupPath, "no": minio.BucketLookupDNS}[l.Path]
	core, err := minio.NewCore(l.Endpoint.Host, &minio.Options{
		Creds:        credentialsOf(o),
		Secure:       l.Endpoint.Scheme == "https",
		Transport:    f.transport,
		Region:       l.Region,
		BucketLookup: lookup,
		MaxRetries:   1, // retry does that
	})
	if err != nil {
		end()
		return nil, fmt.Errorf("%s: %w", l, err)
	}
	f.core = core
	return f, nil
}

func credentialsOf(o *Options) *credentials.Credentials {
	if o.AccessKey != "" {
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.Token)
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.FileAWSCredentials{},
		// The addresses of cloud metadata do not answer elsewhere.
		&credentials.IAM{Client: &http.Client{Timeout: 5 * time.Second}},
	})
}

// firstLook checks that there are credentials, and that the bucket can be listed.
func (f *Fs) firstLook(ctx context.Context) error {
	have, err := f.core.GetCreds()
	if err == nil && have.AccessKeyID == "" {
		err = errors.New("none found")
	}
	if err != nil {
		// The error is left out: a malformed file is quoted in it.
		return errors.New("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or write ~/.aws/credentials")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, f.end)
	defer stop()
	_, err = f.page(pageOf{prefix: f.below(f.root), max: 1})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Close ends all requests, and frees the connections. Uploads that are running can be resumed as if the process
// had been killed. It returns nil.
func (f *Fs) Close() error {
	f.mu.Lock()
	f.end()
	f.mu.Unlock()
	f.work.Wait()
	if !f.shared {
		f.transport.close()
	}
	return nil
}

// Sub returns the directory name of f as a filesystem of its own, as if it had been opened at the URL of that directory. It need not
// exist: a directory of a bucket is made with the first file in it. It shares the connections and the memory for uploads with f, ends
// when f is closed, and may be closed before. Sub sends no request.
func (f *Fs) Sub(name string) (*Fs, error) {
	key, err := f.key(name)
	if err == nil && len(key) > maxKey/2 { // as in Parse
		err = syscall.ENAMETOOLONG
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: virtual(name), Err: err}
	}
	sub := &Fs{
		core: f.core, transport: f.transport, shared: true, bucket: f.bucket, root: key, at: f.at,
		pool: f.pool, sizes: f.sizes, backoff: f.backoff,
		running: map[string]int{},
	}
	sub.at.Prefix = key
	sub.life, sub.end = context.WithCancel(f.life)
	return sub, nil
}

// start runs a goroutine that Close waits for. If the Fs is closed, it returns false.
func (f *Fs) start(work func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.life.Err() != nil {
		return false
	}
	f.work.Go(work)
	return true
}

// Name returns "S3".
func (f *Fs) Name() string { return "S3" }

// Skipped returns how many keys were left out of listings because they can't be paths. A key counts each time that
// a listing meets it.
func (f *Fs) Skipped() int64 { return f.skipped.Load() }

// tries is how often a request is sent if the store is busy or can't be reached.
const tries = 3

// retry sends a request that may be repeated, and maps its error.
func retry[T any](ctx context.Context, f *Fs, request func(context.Context) (T, error)) (T, error) {
	wait := f.backoff
	for n := 1; ; n++ {
		v, err := request(ctx)
		if err == nil || n == tries || !temporary(err) || ctx.Err() != nil || f.life.Err() != nil {
			return v, f.mapError(err)
		}
		if err := pause(ctx, f.life, wait); err != nil {
			return v, err
		}
		wait *= 4
	}
}

// once is like retry, for a request that must not take effect twice. It is repeated only if the store has refused it.
func once[T any](ctx context.Context, f *Fs, request func(context.Context) (T, error)) (T, error) {
	var unknown error
	v, err := retry(ctx, f, func(ctx context.Context) (T, error) {
		v, err := request(ctx)
		if err != nil && !errors.As(err, new(minio.ErrorResponse)) {
			unknown = err
			err = nil
		}
		return v, err
	})
	if unknown != nil {
		err = f.mapError(unknown)
	}
	return v, err
}

// pause waits, unless one of the contexts ends.
func pause(ctx, life context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-life.Done():
		return fs.ErrClosed
	}
}

// quote returns an ETag in the form of a header.
func quote(etag string) string { return `"` + strings.Trim(etag, `"`) + `"` }
