package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// networks is a pair of network namespaces, the hosts of a client and a server, with a link between
// them.
type networks struct {
	t              *testing.T
	client, server string
}

const (
	clientHost = "198.51.100.9"
	serverHost = "198.51.100.1"
)

// newNetworks creates the namespaces. It skips the test unless it runs as root.
func newNetworks(t *testing.T) *networks {
	if os.Getuid() != 0 {
		t.Skip("only root can make network namespaces")
	}
	for _, tool := range []string{"ip", "nft"} {
		verbtest.StockProgram(t, tool)
	}
	n := &networks{t: t, client: fmt.Sprintf("miniftp-c%d", os.Getpid()), server: fmt.Sprintf("miniftp-s%d", os.Getpid())}
	for _, args := range []string{
		"netns add " + n.client, "netns add " + n.server,
		"link add c0 netns " + n.client + " type veth peer name s0 netns " + n.server,
		"-n " + n.client + " addr add " + clientHost + "/24 dev c0", "-n " + n.server + " addr add " + serverHost + "/24 dev s0",
		"-n " + n.client + " link set c0 up", "-n " + n.server + " link set s0 up", "-n " + n.server + " link set lo up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			n.remove()
			t.Skipf("ip %s: %v: %s", args, err, out) // a container may lack the permission
		}
	}
	t.Cleanup(n.remove)
	return n
}

func (n *networks) remove() {
	for _, name := range []string{n.client, n.server} {
		_ = exec.Command("ip", "netns", "del", name).Run()
	}
}

// at returns a command that runs on one of the hosts.
func (n *networks) at(host string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(n.t.Context(), "ip", append([]string{"netns", "exec", host}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+n.t.TempDir())
	return cmd
}

// firewall drops packets to the server's host, except those to the control port and those that the
// connection tracking helper admits.
func (n *networks) firewall() {
	cmd := n.at(n.server, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(`
table inet filter {
  ct helper ftp {
    type "ftp" protocol tcp
  }
  chain before {
    type filter hook prerouting priority 0
    tcp dport 21 ct helper set "ftp"
  }
  chain input {
    type filter hook input priority 0; policy drop
    ct state established,related accept
    iif "lo" accept
    tcp dport 21 accept
  }
}
`)
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Skipf("this kernel has no connection tracking helper: %v: %s", err, out)
	}
}

// serve runs a server on the server's host until the test ends.
func (n *networks) serve(args ...string) {
	cmd := n.at(n.server, args...)
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 50 {
		if n.at(n.client, "curl", "-s", "--max-time", "1", "ftp://"+serverHost+"/").Run() == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	n.t.Fatalf("%q does not answer", args)
}

// TestConnectionTrackingHelper: a firewall with a connection tracking helper opens the data port
// that it reads in a 229 or 227 reply. It reads only the beginning of a segment. curl shows that
// the firewall works here.
func TestConnectionTrackingHelper(t *testing.T) {
	program := verbtest.Program(t)
	verbtest.StockProgram(t, "curl")
	vsftpd := verbtest.StockProgram(t, "vsftpd")
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "srv/tree"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		verbtest.WriteFile(t, filepath.Join(dir, "srv/tree", fmt.Sprint(i)), strings.Repeat("x", 1000))
	}
	conf := verbtest.WriteFile(t, filepath.Join(dir, "vsftpd.conf"), strings.Join([]string{
		"listen=YES", "listen_port=21", "background=NO", "run_as_launching_user=YES", "ftp_username=root", "nopriv_user=root", "anonymous_enable=YES",
		"anon_root=" + filepath.Join(dir, "srv"), "write_enable=YES", "anon_upload_enable=YES", "anon_mkdir_write_enable=YES", "anon_other_write_enable=YES",
		"anon_world_readable_only=NO", "seccomp_sandbox=NO", "isolate=NO", "isolate_network=NO", "",
	}, "\n"))
	for name, server := range map[string][]string{
		"miniftp": {program, "serve", "--listen", serverHost + ":21", "--anonymous", "rw", filepath.Join(dir, "srv")},
		"vsftpd":  {vsftpd, conf},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetworks(t)
			n.serve(server...)
			n.firewall()
			url := "ftp://" + serverHost + "/"
			if out, err := n.at(n.client, "curl", "-sS", "--max-time", "10", "-o", os.DevNull, url+"tree/0").CombinedOutput(); err != nil {
				t.Skipf("the firewall opens no port for curl: %v: %s", err, out)
			}
			for _, args := range [][]string{
				{"get", url + "tree/0", url + "tree/1", dir},
				{"get", "--passive=classic", url + "tree/0", dir},
				{"get", "-r", url + "tree", filepath.Join(dir, "got")},
				{"put", filepath.Join(dir, "0"), url + "tree/new"},
				{"mirror", url + "tree", filepath.Join(dir, "mirrored")},
				{"mirror", dir + "/got", url + "back"},
				{"cat", url + "tree/2"},
				{"ls", url + "tree"},
			} {
				cmd := n.at(n.client, append([]string{program}, args...)...)
				cmd.Env = append(cmd.Env, "MINIFTP_RETRIES=0", "MINIFTP_TIMEOUT=5s")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("miniftp %q: %v\n%s", args, err, out)
				}
			}
		})
	}
}
