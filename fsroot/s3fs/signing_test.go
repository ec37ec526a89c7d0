package s3fs_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/fsroot/s3fs"
	"miniftp/internal/s3peer"
)

// Bodies have a length and an MD5, and are never sent in chunks with a signature each, which some stores keep as
// content. Over TLS they are not signed.
func TestBodies(t *testing.T) {
	t.Parallel()
	g := s3peer.Start(t, t.TempDir())
	to, err := url.Parse(g.Endpoint)
	check(t, err)
	var mu sync.Mutex
	bodies := 0
	secure := false
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // is signed
		mu.Lock()
		defer mu.Unlock()
		h := r.In.Header
		signed := h.Get("X-Amz-Content-Sha256")
		if strings.Contains(signed, "STREAMING") || h.Get("Content-Encoding") != "" || h.Get("X-Amz-Trailer") != "" {
			t.Errorf("%s %s is sent in chunks: %v", r.In.Method, r.In.URL, h)
		}
		if r.In.Method == http.MethodPut && r.In.ContentLength > 0 {
			bodies++
			if len(r.In.TransferEncoding) > 0 || h.Get("Content-Md5") == "" || (signed == "UNSIGNED-PAYLOAD") != secure {
				t.Errorf("PUT %s: signed as %q, header %v", r.In.URL, signed, h)
			}
		}
	}}
	for _, start := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
		server := start(proxy)
		defer server.Close()
		mu.Lock()
		secure = server.TLS != nil
		mu.Unlock()
		f, err := s3fs.Open(t.Context(), "s3://"+s3peer.Bucket+"?endpoint="+server.URL, &s3fs.Options{
			AccessKey: s3peer.AccessKey, SecretKey: s3peer.SecretKey, Transport: server.Client().Transport,
		})
		check(t, err)
		f.SetSizes(part, 1000, 6*mib, 7*mib)
		for _, size := range []int{10, 2*part + 1} {
			u := begin(t, f, "/f", s3fs.UploadOptions{})
			write(t, u, random(1, size))
			check(t, u.Commit(t.Context(), time.Unix(1, 0)))
			same(t, f, "/f", random(1, size))
		}
		check(t, f.Close())
	}
	if bodies < 10 {
		t.Errorf("%d bodies", bodies)
	}
	// A certificate that nobody has signed is refused at once.
	server := httptest.NewUnstartedServer(proxy)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	start := time.Now()
	_, err = s3fs.Open(t.Context(), "s3://"+s3peer.Bucket+"?endpoint="+server.URL, keys)
	wantPublic(t, err, "the storage can't be reached")
	if time.Since(start) > 5*time.Second {
		t.Errorf("it took %v", time.Since(start))
	}
}

// With KMS an ETag looks like an MD5 and is none.
func TestEncryptedObjects(t *testing.T) {
	t.Parallel()
	f, tr, _ := faulty(t, 0)
	tr.set(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			resp.Header.Set("X-Amz-Server-Side-Encryption", "aws:kms")
			if r.Method != http.MethodGet && resp.Header.Get("Etag") != "" {
				resp.Header.Set("Etag", `"00000000000000000000000000000000"`)
			}
		}
		return resp, err
	})
	u := begin(t, f, "/f", s3fs.UploadOptions{})
	write(t, u, []byte("content"))
	commit(t, u)
}
