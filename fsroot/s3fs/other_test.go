package s3fs_test

import (
	"os"
	"testing"

	"miniftp/fsroot/fstest"
	"miniftp/fsroot/s3fs"
)

// MINIFTP_TEST_STORE is the URL of a bucket of any store, with the credentials in the environment: the same checks are
// made there. docs/scale.md says which stores they were made with.
func TestOtherStore(t *testing.T) {
	url := os.Getenv("MINIFTP_TEST_STORE")
	if url == "" {
		t.Skip("MINIFTP_TEST_STORE is not set")
	}
	f, err := s3fs.Open(t.Context(), url, nil)
	check(t, err)
	defer f.Close()
	checks, err := f.Probe(t.Context())
	check(t, err)
	for _, c := range checks {
		if !c.OK {
			t.Errorf("%s: %v", c.Name, c.Err)
		}
	}
	if err := fstest.TestFS(f); err != nil {
		t.Error(err)
	}
}
