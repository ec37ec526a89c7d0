package soak_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"miniftp/ftp/client"
	"miniftp/internal/freeport"
)

// portsPerNode is the size of the range for data connections of each node.
const portsPerNode = 400

// cluster is several nodes behind haproxy.
type cluster struct {
	addr  string // of the balancer
	dir   string // of logs and configuration
	nodes []*node
	proxy *process
}

// node is one miniftp.
type node struct {
	*process
	addr   string
	ports  string
	start  func() *process
	starts int
}

// The users of a cluster. The second has a quota that is soon used up.
const (
	mainUser  = "soak"
	smallUser = "small"
	password  = "not-really-a-secret"
)

// config is the configuration file of a node. The root of the second user is below a directory of its own.
const config = `
[users.soak]
password = "` + password + `"
quota = "40G"
quota-files = 1000000
max-sessions = 1000

[users.small]
password = "` + password + `"
root = "%s"
quota = "32M"
quota-files = 60
max-sessions = 1000
`

// proxyConfig begins the configuration of haproxy, which docs/scale.md explains.
const proxyConfig = `
global
    maxconn 8000

defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    option redispatch
    option clitcpka
    option srvtcpka

frontend control
    bind 127.0.0.1:%d
    default_backend nodes

backend nodes
    balance roundrobin
    option tcp-check
    tcp-check expect rstring ^220
`

// startCluster starts n nodes and haproxy. roots returns the flags of node i: its configuration and root.
func startCluster(t *testing.T, n int, flags func(i int) []string) *cluster {
	t.Helper()
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("haproxy is missing")
	}
	bin := build(t)
	base := freePorts(t, 2+n*portsPerNode)
	c := &cluster{dir: logDir(t), addr: fmt.Sprintf("127.0.0.1:%d", base)}
	var proxy strings.Builder
	fmt.Fprintf(&proxy, proxyConfig, base)
	for i := range n {
		c.nodes = append(c.nodes, startNode(t, c.dir, bin, i, base, append([]string{"--proxy-protocol", "127.0.0.1"}, flags(i)...)))
		fmt.Fprintf(&proxy, "    server node%d %s send-proxy-v2 check check-send-proxy inter 1s fastinter 200ms fall 1 rise 1\n", i+1, c.nodes[i].addr)
	}
	for i, node := range c.nodes {
		host, _, _ := net.SplitHostPort(node.addr)
		fmt.Fprintf(&proxy, "\n# No port: that of the client's connection is used.\nlisten data%d\n    bind 127.0.0.1:%s\n    server node%d %s send-proxy-v2\n", i+1, node.ports, i+1, host)
	}
	file := filepath.Join(c.dir, "haproxy.cfg")
	check(t, os.WriteFile(file, []byte(proxy.String()), 0o600))
	c.proxy = start(t, filepath.Join(c.dir, "haproxy.log"), haproxy, "-f", file)
	check(t, awaitGreeting(t.Context(), c.addr, 10*time.Second))
	return c
}

// startNode starts node i with an address and a range of ports of its own.
func startNode(t *testing.T, dir, bin string, i, base int, flags []string) *node {
	t.Helper()
	lo := base + 2 + i*portsPerNode
	n := &node{addr: fmt.Sprintf("127.0.0.%d:%d", 11+i, base), ports: fmt.Sprintf("%d-%d", lo, lo+portsPerNode-1)}
	args := append([]string{"serve", "--listen", n.addr, "--passive-ports", n.ports}, flags...)
	n.start = func() *process {
		n.starts++
		return start(t, filepath.Join(dir, fmt.Sprintf("node%d.log", i+1)), bin, args...)
	}
	n.process = n.start()
	if err := awaitGreeting(t.Context(), n.addr, 20*time.Second); err != nil {
		said, _ := os.ReadFile(n.log)
		t.Fatalf("node %d does not greet: %v\n%s", i+1, err, said)
	}
	return n
}

// logDir returns the directory of the logs of a test. It is kept if MINIFTP_SOAK_LOGS names it.
func logDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("MINIFTP_SOAK_LOGS")
	if dir == "" {
		return t.TempDir()
	}
	check(t, os.MkdirAll(dir, 0o700))
	return dir
}

// freePorts returns the first of n consecutive ports that no other test takes until this one ends.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	port, release, err := freeport.Reserve(t.Context(), n)
	check(t, err)
	t.Cleanup(release)
	return port
}

// killSome kills one node every interval and starts it again a moment later, until ctx ends.
func (c *cluster) killSome(ctx context.Context, every time.Duration) (kills int) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return kills
		case <-tick.C:
		}
		n := c.nodes[rand.IntN(len(c.nodes))]
		n.kill()
		kills++
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		n.process = n.start()
	}
}

// dial logs in through the balancer.
func (c *cluster) dial(ctx context.Context, user string) (*client.Client, error) {
	return dial(ctx, c.addr, user)
}

func dial(ctx context.Context, addr, user string) (*client.Client, error) {
	return client.Dial(ctx, addr, &client.Options{User: user, Password: password, Timeout: 30 * time.Second})
}
