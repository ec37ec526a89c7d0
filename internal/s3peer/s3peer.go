// Package s3peer starts object stores for tests: VersityGW, which keeps its objects in a directory. The script
// .ci/peers installs it. It is the only package of its kind outside of ftp/internal/peers, because the tests of
// fsroot/s3fs and of cmd/miniftp need it as well.
//
// If the program is missing, the test is skipped, or fails if MINIFTP_REQUIRE_PEERS is 1. With -short, it is skipped.
package s3peer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/internal/freeport"
	"miniftp/internal/procgroup"
)

// Bucket is the bucket that every gateway has.
const Bucket = "files"

// The credentials of every gateway.
const (
	AccessKey = "miniftp-test"
	SecretKey = "not-really-a-secret"
)

const startTimeout = 20 * time.Second

// Gateway is a running VersityGW. It is stopped when the test ends.
type Gateway struct {
	Endpoint string // a URL
	Dir      string // holds a directory for each bucket
	stop     func()
}

// Start starts a gateway over a directory, on a free loopback port, and makes the bucket. Several gateways over the
// same directory are nodes of one store.
func Start(tb testing.TB, dir string) *Gateway {
	tb.Helper()
	if testing.Short() {
		tb.Skip("not with -short: it takes more than a moment")
	}
	program := find()
	if program == "" || !procgroup.CanRun {
		const text = "versitygw is missing or can't run here; to install it, run .ci/peers as root"
		if os.Getenv("MINIFTP_REQUIRE_PEERS") == "1" {
			tb.Fatal(text)
		}
		tb.Skip(text)
	}
	if err := os.MkdirAll(filepath.Join(dir, Bucket), 0o755); err != nil {
		tb.Fatal(err)
	}
	var err error
	for range 5 {
		g := &Gateway{Dir: dir}
		if err = g.start(tb, program); err == nil {
			return g
		}
		if !errors.Is(err, errExited) {
			break
		}
	}
	tb.Fatalf("versitygw did not start: %v", err)
	return nil
}

// URL returns the URL of a prefix of the bucket for package s3fs. more is appended to its query, such as
// "&times=exact".
func (g *Gateway) URL(prefix, more string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=%s&region=us-east-1%s", Bucket, prefix, g.Endpoint, more)
}

// Setenv puts the credentials into the environment.
func (g *Gateway) Setenv(tb testing.TB) {
	tb.Setenv("AWS_ACCESS_KEY_ID", AccessKey)
	tb.Setenv("AWS_SECRET_ACCESS_KEY", SecretKey)
}

// Path returns the path on the host of a key of the bucket.
func (g *Gateway) Path(key string) string { return filepath.Join(g.Dir, Bucket, key) }

// Kill kills the gateway.
func (g *Gateway) Kill() { g.stop() }

// find returns the path of the program, or "".
func find() string {
	peers := os.Getenv("MINIFTP_PEERS")
	if peers == "" {
		peers = "/opt/miniftp-peers"
	}
	for _, name := range []string{filepath.Join(peers, "bin", "versitygw"), "versitygw"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// errExited is returned if the gateway ended before it answered. Its port may be in use.
var errExited = errors.New("it ended before it answered")

func (g *Gateway) start(tb testing.TB, program string) error {
	port, release, err := freeport.Reserve(tb.Context(), 1)
	if err != nil {
		return err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	out, err := os.CreateTemp(tb.TempDir(), "versitygw")
	if err != nil {
		release()
		return err
	}
	defer out.Close()
	cmd := exec.Command(program, "--port", addr, "--quiet", "--keep-alive", "--health", "/health", "posix", g.Dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+AccessKey, "ROOT_SECRET_KEY="+SecretKey)
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, filepath.Dir(out.Name())
	kill, err := procgroup.Start(cmd)
	if err != nil {
		release()
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // stop kills it, so its status has no meaning
		close(exited)
	}()
	ended := false
	g.stop = func() {
		if !ended {
			ended = true
			kill()
			<-exited
			release()
		}
	}
	g.Endpoint = "http://" + addr
	if err := g.await(tb.Context(), exited); err != nil {
		g.stop()
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(string(said)))
	}
	tb.Cleanup(g.stop)
	return nil
}

// await waits until the gateway answers.
func (g *Gateway) await(ctx context.Context, exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.Endpoint+"/health", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		select {
		case <-exited: // so the answer was that of another program
			return errExited
		default:
		}
		if err == nil && resp.StatusCode == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer on %s: %w", g.Endpoint, err)
		case <-exited:
			return errExited
		case <-again.C:
		}
	}
}
