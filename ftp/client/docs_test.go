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

// TestPages compiles the Go code of these pages. The code for the other library in from-jlaffaye.md is compiled in
// testdata/jlaffaye.
func TestPages(t *testing.T) {
	testutil.Long(t)
	pages := ""
	for _, name := range []string{"from-jlaffaye.md", "testing.md"} {
		page, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		pages += string(page)
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
	for i, block := range strings.Split(pages, "```go\n// miniftp\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		fmt.Fprintf(&code, "\nfunc task%d(ctx context.Context, t *testing.T, c *client.Client, addr string, file *os.File) error {\n{\n%s}\nreturn nil\n}\n", i, block)
		count++
	}
	if count < 18 {
		t.Errorf("the pages have %d pieces of code, want at least 18", count)
	}
	file := filepath.Join(t.TempDir(), "page.go")
	if err := os.WriteFile(file, []byte(code.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
