package fxp_test

import (
	"errors"
	"strings"
	"testing"

	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
	"miniftp/ftp/internal/fakeserver"
	"miniftp/ftp/internal/party"
)

// A file that is copied onto itself is kept.
func TestCopyOntoItself(t *testing.T) {
	text := strings.Repeat("0123456789", 100)
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["/a"] = text })
	from, to := dial(t, f, nil), dial(t, f, nil)
	for _, dest := range []string{"/a", "a", "/x/../a", "//a"} {
		for _, through := range []bool{false, true} {
			if _, err := party.Between(t.Context(), from, "/a", to, dest, fxp.Plan{Through: through}); !errors.Is(err, fxp.ErrSameFile) {
				t.Errorf("%s: %v", dest, err)
			}
		}
	}
	if got, _ := f.File("/a"); got != text || f.Count("STOR") != 0 {
		t.Error("the file was written")
	}
}

// TestCopyOntoAnAlias checks that a copy onto the same file, by another name of its server, is refused and leaves the
// file whole.
func TestCopyOntoAnAlias(t *testing.T) {
	text := strings.Repeat("text", 1000)
	f := fakeserver.New(t, func(f *fakeserver.Server) { f.Files["/f"] = text; fakeserver.Storing(f) })
	one := dial(t, f, nil)
	other := dial(t, f, &client.Options{User: "somebody"})
	_, err := party.Through(t.Context(), one, "/f", other, "/f", fxp.Plan{})
	if !errors.Is(err, fxp.ErrSameFile) {
		t.Errorf("got %v, want ErrSameFile", err)
	}
	if got, _ := f.File("/f"); got != text || len(f.Names()) != 1 {
		t.Errorf("%d bytes are left, %q", len(got), f.Names())
	}
}
