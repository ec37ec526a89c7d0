package soak_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"miniftp/fsroot/s3fs"
)

// used is the value of State that counts what is used of a quota. See ftp/server/quota.go.
type used struct {
	Bytes   int64             `json:"bytes"`
	Files   int64             `json:"files"`
	Pending map[string]change `json:"pending,omitempty"`
}

// change is a change that a server has begun: of the file at Path, or a move of From to Path.
type change struct {
	Path string    `json:"path"`
	From string    `json:"from,omitempty"`
	Was  space     `json:"was"`
	Adds space     `json:"adds"`
	At   time.Time `json:"at"`
}

// space is what files take.
type space struct {
	Bytes int64 `json:"bytes"`
	Files int64 `json:"files"`
}

// checkQuota compares what the servers have counted with what there is. Changes that killed servers have begun
// are resolved after a minute. To see that without waiting, the test makes them older and has a server change
// something.
func (k *soak) checkQuota(user string) {
	k.t.Helper()
	sizes := k.walk(user)
	var bytes, files int64
	for _, n := range sizes {
		bytes, files = bytes+n, files+1
	}
	before := k.readUsed(user)
	k.t.Logf("user %s: %d files with %d bytes; counted %d with %d, %d pending", user, files, bytes, before.Files, before.Bytes, len(before.Pending))
	if byRule := before.resolved(sizes); byRule.Bytes != bytes || byRule.Files != files {
		k.t.Errorf("quota of %s: %d files with %d bytes by the rule, but there are %d with %d: off by %d and %d",
			user, byRule.Files, byRule.Bytes, files, bytes, byRule.Files-files, byRule.Bytes-bytes)
		k.explain(before, sizes)
	}
	if len(before.Pending) > 0 {
		k.age(user)
	}
	c, err := k.cluster.dial(k.t.Context(), user)
	check(k.t, err)
	defer c.Close()
	if _, err := c.Store(k.t.Context(), "/last", strings.NewReader("1")); err != nil {
		check(k.t, c.Delete(k.t.Context(), k.anyOf(sizes))) // the quota is used up
	} else {
		check(k.t, c.Delete(k.t.Context(), "/last"))
	}
	bytes, files = 0, 0
	for _, n := range k.walk(user) {
		bytes, files = bytes+n, files+1
	}
	r, err := c.Command(k.t.Context(), "SITE", "QUOTA")
	check(k.t, err)
	shown := regexp.MustCompile(`(\d+) of \d+ (?:bytes|files) used`).FindAllStringSubmatch(strings.Join(r.Lines, "\n"), -1)
	if len(shown) != 2 {
		k.t.Fatalf("SITE QUOTA: %v", r)
	}
	b, _ := strconv.ParseInt(shown[0][1], 10, 64)
	n, _ := strconv.ParseInt(shown[1][1], 10, 64)
	if b != bytes || n != files || len(k.readUsed(user).Pending) > 0 {
		k.t.Errorf("SITE QUOTA of %s says %d files with %d bytes, but there are %d with %d: off by %d and %d; %d pending",
			user, n, b, files, bytes, n-files, b-bytes, len(k.readUsed(user).Pending))
	}
}

// resolved applies the rule for changes whose server has died: what the files take now is compared with what they took
// before, and with what was counted for the change.
func (u used) resolved(sizes map[string]int64) used {
	for _, c := range u.Pending {
		var now space
		for _, name := range []string{c.Path, c.From} {
			if size, ok := sizes[name]; ok {
				now.Bytes, now.Files = now.Bytes+size, now.Files+1
			}
		}
		u.Bytes += now.Bytes - c.Was.Bytes - c.Adds.Bytes
		u.Files += now.Files - c.Was.Files - c.Adds.Files
	}
	return u
}

// explain logs the pending changes with what the clients did to the files.
func (k *soak) explain(u used, sizes map[string]int64) {
	for _, c := range u.Pending {
		story := ""
		for _, w := range k.workers {
			for _, f := range w.all {
				if f.name == c.Path {
					story = f.story()
				}
			}
		}
		size, ok := sizes[c.Path]
		k.t.Logf("pending since %s: %+v; now %d %v\n    %s", c.At.Format("15:04:05.000"), c, size, ok, story)
	}
}

func (k *soak) anyOf(sizes map[string]int64) string {
	for name := range sizes {
		return name
	}
	k.t.Fatal("the quota is used up, but there are no files")
	return ""
}

// walk returns the sizes of all files of a user.
func (k *soak) walk(user string) map[string]int64 {
	k.t.Helper()
	c, err := k.cluster.dial(k.t.Context(), user)
	check(k.t, err)
	defer c.Close()
	sizes := map[string]int64{}
	for e, err := range c.Walk(k.t.Context(), "/") {
		check(k.t, err)
		if !e.IsDir() {
			sizes[e.Path] = e.Size
		}
	}
	return sizes
}

// stateKey returns the key of the value of a user's quota.
func stateKey(user string) string {
	return "quota/" + base64.RawURLEncoding.EncodeToString([]byte(user))
}

func (k *soak) openState() (*s3fs.State, func()) {
	k.t.Helper()
	f, err := s3fs.Open(k.t.Context(), k.store.url(0, "state", ""), nil)
	check(k.t, err)
	return f.State(), func() { _ = f.Close() }
}

func (k *soak) readUsed(user string) (u used) {
	k.t.Helper()
	state, done := k.openState()
	defer done()
	text, _, err := state.Get(k.t.Context(), stateKey(user))
	check(k.t, err)
	check(k.t, json.Unmarshal(text, &u))
	return u
}

// age makes the pending changes an hour older.
func (k *soak) age(user string) {
	k.t.Helper()
	state, done := k.openState()
	defer done()
	text, version, err := state.Get(k.t.Context(), stateKey(user))
	check(k.t, err)
	var u used
	check(k.t, json.Unmarshal(text, &u))
	for id, c := range u.Pending {
		c.At = c.At.Add(-time.Hour)
		u.Pending[id] = c
	}
	text, err = json.Marshal(u)
	check(k.t, err)
	_, err = state.Put(k.t.Context(), stateKey(user), text, version)
	check(k.t, err)
}

// checkUploads compares the multipart uploads of the store with the records of the servers. A server that is killed
// between the two leaves an upload without a record.
func (k *soak) checkUploads() {
	k.t.Helper()
	core, bucket, prefix := k.core()
	ctx := k.t.Context()
	recorded := map[string]string{}
	ended := 0
	for o := range core.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		check(k.t, o.Err)
		if !strings.Contains(o.Key, "/.miniftp/uploads/") {
			continue
		}
		body, _, _, err := core.GetObject(ctx, bucket, o.Key, minio.GetObjectOptions{})
		check(k.t, err)
		var r struct{ UploadID, Key string }
		check(k.t, json.NewDecoder(body).Decode(&r))
		_ = body.Close()
		recorded[r.UploadID] = r.Key
	}
	var without []string
	running := 0
	for u := range core.Client.ListIncompleteUploads(ctx, bucket, prefix, true) {
		check(k.t, u.Err)
		running++
		if _, ok := recorded[u.UploadID]; !ok {
			without = append(without, u.Key)
		}
		delete(recorded, u.UploadID)
	}
	ended = len(recorded)
	slices.Sort(without)
	k.t.Logf("multipart uploads that were interrupted: %d, of which %d have no record: %q; records of uploads that have ended: %d", running, len(without), without, ended)
	if kills := k.counts["kills"]; len(without) > kills {
		k.t.Errorf("%d multipart uploads without a record after %d kills", len(without), kills)
	}
}

// core returns a client of the store, the bucket and the prefix of the test.
func (k *soak) core() (*minio.Core, string, string) {
	k.t.Helper()
	u := k.store.urls[0]
	endpoint, err := url.Parse(u.Query().Get("endpoint"))
	check(k.t, err)
	core, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		Secure: endpoint.Scheme == "https", Region: u.Query().Get("region"), BucketLookup: minio.BucketLookupPath,
	})
	check(k.t, err)
	return core, u.Host, strings.TrimPrefix(fmt.Sprintf("%s/%s/", strings.Trim(u.Path, "/"), k.store.prefix), "/")
}

// putOptions have the body sent in one piece, which every store understands.
var putOptions = minio.PutObjectOptions{DisableContentSha256: true}

// clean removes what a test has stored, unless it has failed.
func (s *store) clean(t *testing.T) {
	k := &soak{t: t, store: s}
	core, bucket, prefix := k.core()
	if t.Failed() {
		t.Logf("what the test has stored is left in bucket %s below %s", bucket, prefix)
		return
	}
	ctx := context.Background() // that of the test has ended
	for u := range core.Client.ListIncompleteUploads(ctx, bucket, prefix, true) {
		if u.Err == nil {
			_ = core.AbortMultipartUpload(ctx, bucket, u.Key, u.UploadID)
		}
	}
	all := core.Client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true})
	for e := range core.Client.RemoveObjects(ctx, bucket, all, minio.RemoveObjectsOptions{}) {
		t.Logf("cleaning up: %v", e.Err)
	}
}
