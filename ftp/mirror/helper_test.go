package mirror_test

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/internal/testutil"
	"miniftp/ftp/mirror"
)

func TestMain(m *testing.M) { os.Exit(testutil.Main(m)) }

var old = testutil.LongAgo

// actions collects the Actions that are done, as "kind path why".
type actions struct {
	mu   sync.Mutex
	done []string
}

func (a *actions) observe(x mirror.Action) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if x.Stage != mirror.Done {
		return
	}
	s := fmt.Sprintf("%v %s %s", x.Kind, x.Path, x.Why)
	if x.Err != nil {
		s = fmt.Sprintf("%v %s failed", x.Kind, x.Path)
	}
	a.done = append(a.done, strings.TrimSpace(s))
}

func (a *actions) sorted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.done)
	return a.done
}

// remoteTree returns a tree on a server, over a Pool of n connections.
func remoteTree(t *testing.T, addr string, o *client.Options, n int, root string) (mirror.Tree, *client.Pool) {
	t.Helper()
	p := client.NewPool(addr, n, o)
	t.Cleanup(func() { _ = p.Close() })
	return mirror.Tree{Pool: p, Root: root}, p
}

func mustMirror(t *testing.T, dst, src mirror.Tree, o mirror.Plan) (mirror.Result, []string) {
	t.Helper()
	var a actions
	o.Observe = a.observe
	res, err := mirror.Run(t.Context(), planned(src, dst, o))
	if err != nil {
		t.Errorf("mirror: %v", err)
	}
	return res, a.sorted()
}

// planned returns o with the two trees.
func planned(from, to mirror.Tree, o mirror.Plan) mirror.Plan {
	o.From, o.To = from, to
	return o
}

var someFiles = map[string]string{
	"a.txt": "alpha", "empty": "", "b b.txt": "beta", "sub/c.bin": string(testutil.Noise(300_000)), "sub/deep/d.txt": "delta", "sub/deep/é.txt": "e", "void/": "", ".hidden": "h",
}

func wholeShape(files map[string]string) map[string]string {
	all := map[string]string{}
	for name, text := range files {
		all[name] = text
		for dir := path.Dir(strings.TrimSuffix(name, "/")); dir != "."; dir = path.Dir(dir) {
			all[dir+"/"] = ""
		}
	}
	return all
}

// soon retries without a pause.
var soon = client.Retry{Times: 50, Wait: func(int) time.Duration { return 0 }}

// moved returns how many bytes the server's transfers by that verb moved.
func moved(srv *ftptest.Server, verb string) (n int64) {
	for _, e := range srv.Events() {
		if d, ok := e.What.(ftp.TransferDone); ok && d.Verb == verb {
			n += d.Bytes
		}
	}
	return n
}
