package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"miniftp/internal/freeport"
)

// anyUser is a user that the image does not know.
const anyUser = 12345

// enter runs a program of an image as a container would: on a read-only root, with /data as the only volume and a secret,
// as any user. Its arguments are the root, the volume, the secret's file, the user and the command. It needs a mount namespace.
const enter = `set -e
root=$1 volume=$2 secret=$3 user=$4
shift 4
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$volume" "$root/data"
mkdir -p "$root/run"
mount -t tmpfs -o size=1m tmpfs "$root/run"
mkdir "$root/run/secrets"
cp "$secret" "$root/run/secrets/users"
chmod -R a+rX "$root/run"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user:$user" "$root" "$@"
`

// peer skips the test if a program is missing, unless CI requires all of them.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("MINIFTP_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is missing: .ci/peers installs it", name)
	} else if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// container is an image's root, and what its configuration says.
type container struct {
	t                    *testing.T
	root, volume, secret string
	env                  []string
	config               struct {
		User                 string
		Env, Entrypoint, Cmd []string
		Volumes              map[string]any
		Healthcheck          struct{ Test []string }
	}
}

// command returns a command that runs in the container.
func (c *container) command(args ...string) *exec.Cmd {
	script := append([]string{"--mount", "sh", "-c", enter, "enter", c.root, c.volume, c.secret, fmt.Sprint(anyUser)}, args...)
	cmd := exec.CommandContext(c.t.Context(), "unshare", script...)
	cmd.Env = append(slices.Clone(c.config.Env), c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// image builds the image and returns its container. It skips the test where that is not possible.
func image(t *testing.T) *container {
	buildah := peer(t, "buildah")
	if os.Getuid() != 0 {
		t.Skip("only root can mount an image")
	}
	dir := t.TempDir()
	t.Chdir("../..")
	files := filepath.Join(dir, "files")
	if err := buildImage(t.Context(), "1.2.3", files); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), buildah, append([]string{"--storage-driver", "vfs", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run")}, args...)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("buildah %s: %v: %s", args[0], err, errs.String())
		}
		return strings.TrimSpace(string(out))
	}
	run("bud", "--format", "docker", "--isolation", "chroot", "-f", "Containerfile", "-t", "miniftp", files)
	name := run("from", "miniftp")
	t.Cleanup(func() {
		_ = exec.Command(buildah, "--storage-driver", "vfs", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "umount", name).Run()
	})
	c := &container{t: t, root: run("mount", name), volume: filepath.Join(dir, "volume"), secret: filepath.Join(dir, "users")}
	var inspected struct {
		Docker struct {
			Config json.RawMessage `json:"config"`
		}
	}
	if err := json.Unmarshal([]byte(run("inspect", name)), &inspected); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(inspected.Docker.Config, &c.config); err != nil {
		t.Fatal(err)
	}
	// A new volume gets the directories of the image, with their permissions.
	if out, err := exec.Command("cp", "-a", filepath.Join(c.root, "data"), c.volume).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.secret, []byte("alice:"+string(hash)+":rw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestImage: the image has the program and nothing else that runs. It serves as any user, on a read-only root, with one volume and
// users from a secret, and its health check works.
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds an image")
	}
	c := image(t)
	for _, path := range []string{"bin", "lib", "usr"} {
		if _, err := os.Stat(filepath.Join(c.root, path)); err == nil {
			t.Errorf("the image has /%s", path)
		}
	}
	if c.config.User != "10000:10000" || c.config.Volumes["/data"] == nil || len(c.config.Volumes) != 1 {
		t.Errorf("user %q, volumes %v", c.config.User, c.config.Volumes)
	}
	health := c.config.Healthcheck.Test
	if len(health) < 2 || health[0] != "CMD" {
		t.Fatalf("health check %q", health)
	}
	port, release, err := freeport.Reserve(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	at := fmt.Sprintf("127.0.0.1:%d", port)
	c.env = []string{"MINIFTP_LISTEN=" + at, "MINIFTP_PASSIVE_PORTS=", "MINIFTP_USERS_FILE=/run/secrets/users"}
	if out, err := c.command(health[1:]...).CombinedOutput(); err == nil {
		t.Errorf("healthy without a server: %s", out)
	}
	var log bytes.Buffer
	server := c.command(append(slices.Clone(c.config.Entrypoint), c.config.Cmd...)...)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() error {
		if ended {
			return nil
		}
		ended = true
		_ = server.Process.Signal(syscall.SIGTERM)
		return server.Wait()
	}
	defer func() { _ = end() }()
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(limit) {
			_ = end()
			t.Fatalf("the server does not listen: %s", log.String())
		}
	}
	if out, err := c.command(health[1:]...).CombinedOutput(); err != nil {
		t.Errorf("the health check: %v: %s", err, out)
	}
	local := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(local, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), peer(t, "curl"), "-sS", "--max-time", "20", "-u", "alice:secret", "-T", local, "ftp://"+at+"/").CombinedOutput()
	if err != nil {
		t.Errorf("curl: %v: %s", err, out)
	}
	fi, err := os.Stat(filepath.Join(c.volume, "files", "a.txt"))
	if err != nil || fi.Size() != 7 || fi.Sys().(*syscall.Stat_t).Uid != anyUser {
		t.Errorf("the upload: %v, %+v", err, fi)
	}
	if err := end(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	if text := log.String(); t.Failed() || strings.Contains(text, "level=ERROR") || strings.Contains(text, "level=WARN") {
		t.Errorf("the log:\n%s", text)
	}
}
