package soak_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// manyKeys is the number of files in the directory many of a stub.
const manyKeys = 1_000_000

// stub is as much of an S3 store as the measurements need. It checks the MD5 of what it gets and then forgets it,
// except for small objects. Its directory many has manyKeys files, which exist in listings only.
type stub struct {
	mu      sync.Mutex
	objects map[string]*stubObject
	uploads map[string]map[int]*stubObject
	meta    map[string]http.Header // of uploads

	requests atomic.Int64
	received atomic.Int64
	parts    atomic.Int64
}

type stubObject struct {
	content []byte // nil if it was forgotten
	size    int64
	sum     []byte
	etag    string
	header  http.Header
	at      time.Time
}

func startStub(t *testing.T) (*stub, string) {
	t.Helper()
	s := &stub{objects: map[string]*stubObject{}, uploads: map[string]map[int]*stubObject{}, meta: map[string]http.Header{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, "s3://files/?region=us-east-1&endpoint=" + srv.URL
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	s.requests.Add(1)
	switch {
	case key == "" && r.Method == http.MethodGet && q.Has("location"):
		fmt.Fprint(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`)
	case key == "" && r.Method == http.MethodGet && q.Has("uploads"):
		fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
	case key == "" && r.Method == http.MethodGet:
		s.list(w, q.Get("prefix"), q.Get("delimiter"), q.Get("continuation-token"), q.Get("max-keys"))
	case key == "":
		w.WriteHeader(http.StatusOK)
	case q.Has("uploads"), q.Has("uploadId"):
		s.multipart(w, r, key, q.Get("uploadId"))
	default:
		s.object(w, r, key)
	}
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
}

// receive reads a body and checks its MD5.
func (s *stub) receive(w http.ResponseWriter, r *http.Request) *stubObject {
	h := md5.New()
	var content bytes.Buffer
	var to io.Writer = h
	if r.ContentLength <= 64<<10 {
		to = io.MultiWriter(h, &content)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{r.Body}, make([]byte, 256<<10))
	sum := h.Sum(nil)
	if want := r.Header.Get("Content-Md5"); err != nil || n != r.ContentLength || want != "" && want != base64.StdEncoding.EncodeToString(sum) {
		refuse(w, http.StatusBadRequest, "BadDigest")
		return nil
	}
	s.received.Add(n)
	return &stubObject{content.Bytes(), n, sum, `"` + hex.EncodeToString(sum) + `"`, r.Header, time.Now().UTC()}
}

func (s *stub) object(w http.ResponseWriter, r *http.Request, key string) {
	if r.Method == http.MethodPut {
		if o := s.receive(w, r); o != nil {
			s.put(w, r, key, o)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[key]
	switch {
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case o == nil:
		refuse(w, http.StatusNotFound, "NoSuchKey")
	default:
		for name, value := range o.header {
			if strings.HasPrefix(name, "X-Amz-Meta-") {
				w.Header()[name] = value
			}
		}
		w.Header().Set("ETag", o.etag)
		w.Header().Set("Last-Modified", o.at.Format(http.TimeFormat))
		w.Header().Set("Content-Length", strconv.FormatInt(o.size, 10))
		if r.Method == http.MethodGet {
			_, _ = w.Write(o.content)
		}
	}
}

func (s *stub) put(w http.ResponseWriter, r *http.Request, key string, o *stubObject) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.objects[key]
	want := r.Header.Get("If-Match")
	if old != nil && r.Header.Get("If-None-Match") == "*" || want != "" && (old == nil || strings.Trim(old.etag, `"`) != strings.Trim(want, `"`)) {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	s.objects[key] = o
	w.Header().Set("ETag", o.etag)
	if r.Method == http.MethodPost {
		fmt.Fprintf(w, "<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>", strings.ReplaceAll(o.etag, `"`, "&quot;"))
	}
}

func (s *stub) multipart(w http.ResponseWriter, r *http.Request, key, id string) {
	switch {
	case id == "":
		s.mu.Lock()
		id = strconv.Itoa(len(s.meta) + 1)
		s.uploads[id], s.meta[id] = map[int]*stubObject{}, r.Header
		s.mu.Unlock()
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case r.Method == http.MethodPut:
		o := s.receive(w, r)
		if o == nil {
			return
		}
		n, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		s.mu.Lock()
		if parts := s.uploads[id]; parts != nil {
			parts[n] = o
		}
		s.mu.Unlock()
		s.parts.Add(1)
		w.Header().Set("ETag", o.etag)
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		delete(s.uploads, id)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPost:
		var list struct{ Part []struct{ PartNumber int } }
		_ = xml.NewDecoder(r.Body).Decode(&list)
		whole, all := &stubObject{at: time.Now().UTC()}, md5.New()
		s.mu.Lock()
		whole.header = s.meta[id]
		for _, p := range list.Part {
			part := s.uploads[id][p.PartNumber]
			if part == nil {
				s.mu.Unlock()
				refuse(w, http.StatusBadRequest, "InvalidPart")
				return
			}
			whole.size += part.size
			all.Write(part.sum)
		}
		delete(s.uploads, id)
		s.mu.Unlock()
		whole.etag = fmt.Sprintf(`"%x-%d"`, all.Sum(nil), len(list.Part))
		s.put(w, r, key, whole)
	default: // the list of the parts
		fmt.Fprint(w, "<ListPartsResult></ListPartsResult>")
	}
}

// list returns a page of a listing.
func (s *stub) list(w http.ResponseWriter, prefix, delimiter, token, most string) {
	limit, _ := strconv.Atoi(most)
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	first, _ := strconv.Atoi(token)
	var b bytes.Buffer
	b.WriteString(`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>files</Name>`)
	if prefix == "many/" {
		for i := first; i < min(first+limit, manyKeys); i++ {
			fmt.Fprintf(&b, `<Contents><Key>many/file-%07d.bin</Key><LastModified>2026-11-01T10:00:00.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>`, i, i)
		}
		if first+limit < manyKeys {
			fmt.Fprintf(&b, `<IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>`, first+limit)
		}
	} else {
		s.listObjects(&b, prefix, delimiter)
	}
	b.WriteString(`</ListBucketResult>`)
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(b.Bytes())
}

func (s *stub) listObjects(b *bytes.Buffer, prefix, delimiter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys, dirs []string
	for key := range s.objects {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		if dir, _, deeper := strings.Cut(rest, "/"); deeper && delimiter == "/" {
			dirs = append(dirs, prefix+dir+"/")
			continue
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	slices.Sort(dirs)
	for _, key := range keys {
		fmt.Fprintf(b, `<Contents><Key>%s</Key><LastModified>2026-11-01T10:00:00.000Z</LastModified><ETag>%s</ETag><Size>%d</Size></Contents>`, key, s.objects[key].etag, s.objects[key].size)
	}
	for _, dir := range slices.Compact(dirs) {
		fmt.Fprintf(b, `<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>`, dir)
	}
}
