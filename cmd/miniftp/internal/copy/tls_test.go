package copy

import (
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/ftptest"
)

// TestCopyUnderTLSThatCanNotWork: if TLS between two servers fails, there is only one try, and the
// error suggests --via-client.
func TestCopyUnderTLSThatCanNotWork(t *testing.T) {
	from, to := ftptest.NewServer(t, nil, ftptest.WithTLS()), ftptest.NewServer(t, nil, ftptest.WithTLS())
	if err := afero.WriteFile(from.FS, "/f", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, _, errs := try(t, "copy", "--tls", "--insecure", from.URL+"/f", to.URL+"/g")
	if code == 0 || strings.Contains(errs, "trying again") || !strings.Contains(errs, "--via-client") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
