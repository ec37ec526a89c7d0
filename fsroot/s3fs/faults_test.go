package s3fs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"miniftp/fsroot/s3fs"
	"miniftp/internal/s3peer"
)

// faults is a transport that calls a function for each request, which may answer it.
type faults struct {
	mu sync.Mutex
	do func(r *http.Request) (*http.Response, error) // a nil response means that the store answers
}

func (f *faults) set(do func(r *http.Request) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.do = do
}

func (f *faults) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	do := f.do
	f.mu.Unlock()
	if do != nil {
		if resp, err := do(r); resp != nil || err != nil {
			if r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			return resp, err
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

func answer(r *http.Request, status int, code string) *http.Response {
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>text of the store</Message></Error>", code)
	}
	resp := w.Result()
	resp.Request = r
	return resp
}

func faulty(t testing.TB, timeout time.Duration) (*s3fs.Fs, *faults, *s3peer.Gateway) {
	t.Helper()
	g := s3peer.Start(t, t.TempDir())
	tr := &faults{}
	f, err := s3fs.Open(t.Context(), g.URL("", ""), &s3fs.Options{
		AccessKey: s3peer.AccessKey, SecretKey: s3peer.SecretKey, Transport: tr, Timeout: timeout,
	})
	check(t, err)
	t.Cleanup(func() { check(t, f.Close()) })
	f.SetSizes(part, 1000, 6*mib, 7*mib)
	return f, tr, g
}

func wantPublic(t testing.TB, err error, want string) {
	t.Helper()
	var p interface{ Public() string }
	if !errors.As(err, &p) || p.Public() != want {
		t.Fatalf("error %v, want the public text %q", err, want)
	}
	if strings.Contains(err.Error(), s3peer.SecretKey) || strings.Contains(err.Error(), s3peer.AccessKey) {
		t.Errorf("the error has a secret: %v", err)
	}
}

func TestBusyStore(t *testing.T) {
	t.Parallel()
	f, tr, _ := faulty(t, 0)
	put(t, f, "/f", "content")
	n := 0
	tr.set(func(r *http.Request) (*http.Response, error) {
		if n++; n%3 != 0 {
			return answer(r, http.StatusServiceUnavailable, "SlowDown"), nil
		}
		return nil, nil
	})
	same(t, f, "/f", []byte("content"))
	tr.set(func(r *http.Request) (*http.Response, error) {
		return answer(r, http.StatusServiceUnavailable, "SlowDown"), nil
	})
	_, err := f.Stat("/f")
	wantPublic(t, err, "the storage is busy: try again in a moment")
	tr.set(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") })
	_, err = f.Stat("/f")
	wantPublic(t, err, "the storage can't be reached")
}

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	f, tr, _ := faulty(t, 0)
	for code, want := range map[string]error{
		"AccessDenied": fs.ErrPermission, "QuotaExceeded": syscall.EDQUOT, "EntityTooLarge": syscall.EFBIG,
		"ObjectParentIsFile": syscall.ENOTDIR, "NotImplemented": errors.ErrUnsupported, "PreconditionFailed": fs.ErrExist,
	} {
		tr.set(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPut {
				return answer(r, http.StatusBadRequest, code), nil
			}
			return nil, nil
		})
		u := begin(t, f, "/f", s3fs.UploadOptions{New: true})
		wantErr(t, u.Commit(t.Context(), time.Time{}), want)
	}
	for code, want := range map[string]string{
		"NoSuchBucket": "the bucket does not exist", "SignatureDoesNotMatch": "the storage refused the credentials",
		"RequestTimeTooSkewed": "the clocks of the server and the storage differ", "Odd": "the storage reported an error",
	} {
		tr.set(func(r *http.Request) (*http.Response, error) { return answer(r, http.StatusBadRequest, code), nil })
		wantPublic(t, f.RemoveAll("/f/x"), want)
		for _, err := range f.ReadDirSeq("/") {
			wantPublic(t, err, want)
		}
	}
}

// A read that breaks continues at the next byte.
func TestBrokenReads(t *testing.T) {
	t.Parallel()
	f, tr, _ := faulty(t, 0)
	data := random(1, 2*mib)
	put(t, f, "/f", string(data))
	gets := 0
	tr.set(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet {
			return nil, nil
		}
		gets++
		if gets%4 == 0 {
			return answer(r, http.StatusInternalServerError, "InternalError"), nil
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			resp.Body = &cut{resp.Body, 300_000}
		}
		return resp, err
	})
	same(t, f, "/f", data)
	if gets < 7 {
		t.Errorf("%d requests", gets)
	}
}

// cut breaks a body after some bytes.
type cut struct {
	io.ReadCloser
	left int
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// If the reply of the last request is lost, the file is found to be that of the upload.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, part + 1} {
		for _, isNew := range []bool{false, true} {
			f, tr, g := faulty(t, 0)
			lost := false
			tr.set(func(r *http.Request) (*http.Response, error) {
				last := r.Method == http.MethodPut && size < part
				if size > part {
					last = r.Method == http.MethodPost && strings.Contains(r.URL.RawQuery, "uploadId=")
				}
				if !last || lost {
					return nil, nil
				}
				lost = true
				resp, err := http.DefaultTransport.RoundTrip(r)
				if err == nil {
					resp.Body.Close()
					err = errors.New("connection reset")
				}
				return nil, err
			})
			u := begin(t, f, "/f", s3fs.UploadOptions{New: isNew})
			write(t, u, random(1, size))
			commit(t, u)
			if !lost {
				t.Error("no reply was lost")
			}
			same(t, f, "/f", random(1, size))
			clean(t, g)
		}
	}
}

// A store that stores other bytes is found out.
func TestDamage(t *testing.T) {
	t.Parallel()
	f, tr, g := faulty(t, 0)
	for _, size := range []int{10, part + 1} {
		for _, change := range []func(*http.Request, *http.Response){
			func(r *http.Request, resp *http.Response) {
				if r.Method == http.MethodHead && resp.StatusCode == http.StatusOK {
					resp.Header.Set("Content-Length", "12345")
				}
			},
			func(_ *http.Request, resp *http.Response) {
				if etag := resp.Header.Get("Etag"); len(etag) == 34 {
					resp.Header.Set("Etag", `"00000000000000000000000000000000"`)
				}
			},
		} {
			tr.set(nil)
			_ = f.Remove("/f")
			u := begin(t, f, "/f", s3fs.UploadOptions{Owner: "a"})
			tr.set(func(r *http.Request) (*http.Response, error) {
				resp, err := http.DefaultTransport.RoundTrip(r)
				if err == nil {
					change(r, resp)
				}
				return resp, err
			})
			_, err := u.Write(random(1, size))
			if err == nil {
				err = u.Commit(t.Context(), time.Time{})
			} else {
				check(t, u.Abort(t.Context()))
			}
			wantPublic(t, err, "the storage has stored other bytes than were sent")
			tr.set(nil)
			if err := f.Discard(t.Context(), "/f", "a"); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
	}
	clean(t, g)
}

// What was sent is kept if the upload can't be completed.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	f, tr, g := faulty(t, 0)
	tr.set(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost && strings.Contains(r.URL.RawQuery, "uploadId=") {
			return answer(r, http.StatusForbidden, "AccessDenied"), nil
		}
		return nil, nil
	})
	data := random(1, 2*part+100)
	u := begin(t, f, "/f", s3fs.UploadOptions{Owner: "a"})
	write(t, u, data)
	wantErr(t, u.Commit(t.Context(), time.Time{}), fs.ErrPermission)
	tr.set(nil)
	n, _, err := f.Kept(t.Context(), "/f", "a")
	if check(t, err); n != 2*part { // the last part is too small to be followed by another one
		t.Errorf("Kept = %d", n)
	}
	u = begin(t, f, "/f", s3fs.UploadOptions{Owner: "a", Offset: n})
	write(t, u, data[n:])
	commit(t, u)
	same(t, f, "/f", data)
	clean(t, g)
}

// Nothing is left of a file that was written by OpenFile and could not be stored, because nobody can resume it.
func TestCloseFails(t *testing.T) {
	t.Parallel()
	f, tr, g := faulty(t, 0)
	file, err := f.Create("/f")
	check(t, err)
	_, err = file.Write(random(1, 2*part+100))
	check(t, err)
	tr.set(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost && strings.Contains(r.URL.RawQuery, "uploadId=") {
			return answer(r, http.StatusForbidden, "AccessDenied"), nil
		}
		return nil, nil
	})
	wantErr(t, file.Close(), fs.ErrPermission)
	clean(t, g)
}

// A move of a directory in which a file changes all the time says that not all were moved.
func TestMoveDirOfChangingFile(t *testing.T) {
	t.Parallel()
	f, tr, _ := faulty(t, 0)
	check(t, f.Mkdir("/d", 0))
	put(t, f, "/d/f", "content")
	put(t, f, "/d/g", "content")
	tr.set(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Copy-Source"), "/f") {
			return answer(r, http.StatusPreconditionFailed, "PreconditionFailed"), nil
		}
		return nil, nil
	})
	wantErr(t, f.MoveDir(t.Context(), "/d", "/e", func(int) {}), syscall.EBUSY)
	same(t, f, "/d/f", []byte("content"))
	same(t, f, "/e/g", []byte("content"))
	absent(t, f, "/d/g")
}

func TestStandstill(t *testing.T) {
	t.Parallel()
	f, tr, _ := faulty(t, 100*time.Millisecond)
	put(t, f, "/f", strings.Repeat("x", mib))
	file, err := f.Open("/f")
	check(t, err)
	defer file.Close()
	b := make([]byte, 1000)
	_, err = io.ReadFull(file, b)
	check(t, err)
	time.Sleep(200 * time.Millisecond) // a slow client is no standstill of the store
	_, err = io.ReadFull(file, b)
	check(t, err)
	tr.set(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	start := time.Now()
	_, err = f.Stat("/f")
	wantPublic(t, err, "the storage can't be reached")
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestOpenErrors(t *testing.T) {
	g := s3peer.Start(t, t.TempDir())
	_, err := s3fs.Open(t.Context(), strings.Replace(g.URL("", ""), s3peer.Bucket, "nothing", 1), keys)
	wantPublic(t, err, "the bucket does not exist")
	_, err = s3fs.Open(t.Context(), g.URL("", ""), &s3fs.Options{AccessKey: s3peer.AccessKey, SecretKey: "wrong-" + s3peer.SecretKey})
	wantPublic(t, err, "the storage refused the credentials")
	_, err = s3fs.Open(t.Context(), g.URL("", ""), &s3fs.Options{AccessKey: "unknown-key", SecretKey: s3peer.SecretKey})
	wantPublic(t, err, "the storage refused the credentials")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
	if _, err = s3fs.Open(t.Context(), g.URL("", ""), nil); err == nil || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("without credentials: %v", err)
	}
	g.Setenv(t)
	f, err := s3fs.Open(t.Context(), g.URL("", ""), nil)
	check(t, err)
	check(t, f.Close())
	g.Kill()
	_, err = s3fs.Open(t.Context(), g.URL("", ""), keys)
	wantPublic(t, err, "the storage can't be reached")
}

func TestProbe(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	f := open(t, g, "p", "")
	checks, err := f.Probe(t.Context())
	check(t, err)
	var names bytes.Buffer
	for _, c := range checks {
		fmt.Fprintf(&names, "%s; ", c.Name)
		if !c.OK || c.Err != nil {
			t.Errorf("%s: %v", c.Name, c.Err)
		}
	}
	if len(checks) < 14 {
		t.Errorf("only %s", &names)
	}
	clean(t, g)
	absent(t, open(t, g, "", ""), "/p")
}

// A Write that ends while the record of its upload is being stored, and is stored, must not make Keep take that record
// for its own: what arrived can still be resumed.
func TestWriteEndsAtRecord(t *testing.T) {
	t.Parallel()
	f, tr, _ := faulty(t, 0)
	f.SetSizes(part+1, 1000, 6*mib, 7*mib)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	u, err := f.Upload(ctx, "/f", s3fs.UploadOptions{Owner: "me"})
	check(t, err)
	content := random(1, part+2)
	_, err = u.Write(content[:part+1]) // all but a byte of it is kept
	check(t, err)
	tr.set(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/.miniftp/uploads/") {
			return nil, nil
		}
		tr.set(nil)
		stored, err := http.DefaultTransport.RoundTrip(r)
		check(t, err)
		_ = stored.Body.Close()
		cancel()
		return nil, context.Canceled
	})
	if _, err := u.Write(content[part+1:]); err == nil {
		t.Fatal("the Write did not end")
	}
	kept, err := u.Keep(t.Context())
	check(t, err)
	if kept != part {
		t.Fatalf("%d bytes are kept, want %d", kept, part)
	}
	u, err = f.Upload(t.Context(), "/f", s3fs.UploadOptions{Owner: "me", Offset: part})
	check(t, err)
	_, err = u.Write(content[part:])
	check(t, err)
	check(t, u.Commit(t.Context(), time.Time{}))
	same(t, f, "/f", content)
}
