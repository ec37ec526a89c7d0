package client_test

import (
	"os"
	"sync"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/internal/transfertest"
)

func TestMain(m *testing.M) { os.Exit(testutil.Main(m)) }

// dial logs in to a fake server.
var dial = transfertest.Dial

// over returns options for a file in fsys.
func over(fsys afero.Fs, o client.FileOptions) client.FileOptions {
	o.FS = fsys
	return o
}

// counting counts the commands and data connections of a client.
type counting struct {
	mu       sync.Mutex
	commands map[string]int
	opened   int
}

func (n *counting) Observe(e ftp.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch h := e.What.(type) {
	case ftp.CommandGiven:
		if n.commands == nil {
			n.commands = map[string]int{}
		}
		n.commands[h.Command.Verb]++
	case ftp.DataOpened:
		n.opened++
	}
}
