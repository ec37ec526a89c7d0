package transfertest

import (
	"testing"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/fakeserver"
)

// Dial logs in to a fake server. The Client is closed when the test ends.
func Dial(t *testing.T, f *fakeserver.Server, o *client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), f.Addr, o)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
