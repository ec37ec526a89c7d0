package jlaffaye

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPage compiles the other library's side of docs/from-jlaffaye.md.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/from-jlaffaye.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	code.WriteString(`package page

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jlaffaye/ftp"

	"miniftp/ftp/ftptest"
)

var _ = []any{new(tls.Config), errors.Is, fmt.Print, io.Copy, new(textproto.Error), new(sync.WaitGroup), time.Now, ftptest.NewServer}

type progress struct{ done, total int64 }

func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	return len(b), nil
}
`)
	for i, block := range strings.Split(string(page), "```go\n// jlaffaye/ftp\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		fmt.Fprintf(&code, "\nfunc task%d(t *testing.T, c *ftp.ServerConn, addr string, file *os.File) error {\n{\n%s}\nreturn nil\n}\n", i, block)
	}
	file := filepath.Join(t.TempDir(), "page.go")
	if err := os.WriteFile(file, []byte(code.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
