package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// natNetworks is a server in a private network, as in a container, behind a router that clients know by its public address. The
// router maps port 21 and two ranges of ports to the server, as a container host does.
type natNetworks struct {
	t                      *testing.T
	client, router, server string
}

const (
	natRouter = "198.51.100.1"
	natServer = "172.18.0.2"
	natPort   = "2121"
)

func newNatNetworks(t *testing.T) *natNetworks {
	if os.Getuid() != 0 {
		t.Skip("only root can make network namespaces")
	}
	for _, tool := range []string{"ip", "nft", "curl"} {
		verbtest.StockProgram(t, tool)
	}
	name := func(what string) string { return fmt.Sprintf("miniftp-nat-%s%d", what, os.Getpid()) }
	n := &natNetworks{t, name("c"), name("r"), name("s")}
	t.Cleanup(func() {
		for _, name := range []string{n.client, n.router, n.server} {
			_ = exec.Command("ip", "netns", "del", name).Run()
		}
	})
	for _, args := range []string{
		"netns add " + n.client, "netns add " + n.router, "netns add " + n.server,
		"link add c0 netns " + n.client + " type veth peer name out netns " + n.router,
		"link add in netns " + n.router + " type veth peer name s0 netns " + n.server,
		"-n " + n.client + " addr add 198.51.100.9/24 dev c0", "-n " + n.router + " addr add " + natRouter + "/24 dev out",
		"-n " + n.router + " addr add 172.18.0.1/24 dev in", "-n " + n.server + " addr add " + natServer + "/24 dev s0",
		"-n " + n.client + " link set c0 up", "-n " + n.router + " link set out up", "-n " + n.router + " link set in up",
		"-n " + n.server + " link set s0 up", "-n " + n.server + " link set lo up",
		"-n " + n.server + " route add default via 172.18.0.1",
		"netns exec " + n.router + " sysctl -qw net.ipv4.ip_forward=1",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Skipf("ip %s: %v: %s", args, err, out) // a container may lack the permission
		}
	}
	nft := n.at(n.router, "nft", "-f", "-")
	nft.Stdin = strings.NewReader(`
table ip nat {
  chain in {
    type nat hook prerouting priority dstnat
    iif "out" tcp dport 21 dnat to ` + natServer + ":" + natPort + `
    iif "out" tcp dport 40000-40003 dnat to ` + natServer + `
    iif "out" dnat to tcp dport map { 50000 : ` + natServer + ` . 41000, 50001 : ` + natServer + ` . 41001 }
  }
  chain out {
    type nat hook postrouting priority srcnat
    oif "out" masquerade
  }
}
`)
	if out, err := nft.CombinedOutput(); err != nil {
		t.Skipf("this kernel has no NAT: %v: %s", err, out)
	}
	return n
}

// at returns a command that runs in a namespace.
func (n *natNetworks) at(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(n.t.Context(), "ip", append([]string{"netns", "exec", name}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+n.t.TempDir())
	return cmd
}

// fetch fetches a file through the router.
func (n *natNetworks) fetch(args ...string) (string, error) {
	args = append([]string{"curl", "-sS", "--max-time", "20", "--connect-timeout", "2", "--no-ftp-skip-pasv-ip"}, args...)
	out, err := n.at(n.client, append(args, "ftp://"+natRouter+"/file")...).CombinedOutput()
	return string(out), err
}

// natRun is a server in the private network.
type natRun struct {
	cmd *exec.Cmd
	log string
}

// serve runs a server until the test ends.
func (n *natNetworks) serve(t *testing.T, args ...string) *natRun {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "srv"), 0o755); err != nil {
		t.Fatal(err)
	}
	verbtest.WriteFile(t, filepath.Join(dir, "srv", "file"), "content")
	r := &natRun{log: filepath.Join(dir, "log")}
	all := append([]string{verbtest.Program(t), "serve", "--listen", ":" + natPort, "--control", "off", "--log-file", r.log, "--data-timeout", "4s"}, args...)
	r.cmd = n.at(n.server, append(all, filepath.Join(dir, "srv"))...)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
	for range 100 {
		if n.at(n.client, "curl", "-s", "--max-time", "2", "-I", "ftp://"+natRouter+"/").Run() == nil {
			return r
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the server does not answer: %s", r.lines())
	return nil
}

func (r *natRun) lines() string {
	b, _ := os.ReadFile(r.log)
	return string(b)
}

// await waits until the log has a text.
func (r *natRun) await(t *testing.T, text string) {
	t.Helper()
	for range 150 {
		if strings.Contains(r.lines(), text) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the log does not have %q:\n%s", text, r.lines())
}

// TestNAT: behind a router, passive mode needs the settings that docs/nat.md names, and no others. Without them the log says what is
// wrong.
func TestNAT(t *testing.T) {
	n := newNatNetworks(t)
	works := func(t *testing.T, args ...string) {
		t.Helper()
		if out, err := n.fetch(args...); err != nil || out != "content" {
			t.Errorf("curl %q: %v: %s", args, err, out)
		}
	}
	t.Run("nothing set", func(t *testing.T) {
		r := n.serve(t, "--passive-ports", "40000-40003")
		works(t)            // EPSV names no address
		works(t, "-P", "-") // active mode
		if out, err := n.fetch("--disable-epsv"); err == nil {
			t.Errorf("PASV works: %s", out)
		}
		r.await(t, "a client did not call the passive port")
		r.await(t, natServer+" is an address of a private network or a container, which the client can't reach: set public-ip")
	})
	t.Run("public-ip", func(t *testing.T) {
		n.serve(t, "--passive-ports", "40000-40003", "--public-ip", natRouter)
		works(t)
		works(t, "--disable-epsv")
	})
	t.Run("mapped ports", func(t *testing.T) {
		n.serve(t, "--passive-ports", "41000-41001=50000-50001", "--public-ip-for", "198.51.100.0/24="+natRouter)
		works(t)
		works(t, "--disable-epsv")
	})
	t.Run("mapped ports in a file", func(t *testing.T) {
		file := verbtest.WriteFile(t, filepath.Join(t.TempDir(), "ports"), "60000-60001\n")
		r := n.serve(t, "--passive-ports", "41000-41001=@"+file, "--public-ip", natRouter)
		if out, err := n.fetch(); err == nil {
			t.Errorf("a port works that is not mapped: %s", out)
		}
		verbtest.WriteFile(t, file, "50000-50001\n")
		pid, err := exec.Command("ip", "netns", "pids", n.server).Output()
		if err != nil {
			t.Fatal(err)
		}
		var server int
		if _, err := fmt.Sscan(string(pid), &server); err != nil {
			t.Fatalf("%v: %q", err, pid)
		}
		if err := syscall.Kill(server, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		r.await(t, "reloaded")
		works(t)
		works(t, "--disable-epsv")
	})
}
