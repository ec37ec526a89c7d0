package client_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"miniftp/ftp/internal/testutil"
)

// TestFromJlaffaye compiles this library's side of docs/from-jlaffaye.md. That of the other
// library is compiled in testdata/jlaffaye.
func TestFromJlaffaye(t *testing.T) {
	testutil.Long(t)
	page, err := os.ReadFile("../../docs/from-jlaffaye.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	code.WriteString(`package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
)

var _ = []any{errors.Is, fmt.Print, io.Copy, fs.ErrNotExist, new(sync.WaitGroup), time.Now, afero.NewOsFs, ftp.ParseURL, ftptest.NewServer}
`)
	count := 0
	for i, block := range strings.Split(string(page), "```go\n// miniftp\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		fmt.Fprintf(&code, "\nfunc task%d(ctx context.Context, t *testing.T, c *client.Client, addr string, file *os.File) error {\n{\n%s}\nreturn nil\n}\n", i, block)
		count++
	}
	if count < 14 {
		t.Errorf("%d tasks are on the page", count)
	}
	file := filepath.Join(t.TempDir(), "page.go")
	if err := os.WriteFile(file, []byte(code.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
