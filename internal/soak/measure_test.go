package soak_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"miniftp/ftp/client"
)

// single is a node without a balancer.
func single(t *testing.T, flags ...string) *node {
	t.Helper()
	base := freePorts(t, 2+portsPerNode)
	return startNode(t, logDir(t), build(t), 0, base, append([]string{"--user", mainUser + ":" + password + ":rw", "--max-waiting", "0"}, flags...))
}

// zeros is a source of n zero bytes, which costs no time.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestMeasureMemory has 100 clients upload 1 GiB each at once. The test ends when all have sent a lot, because the most
// memory is in use long before the end. MINIFTP_SOAK_TIME limits it; the default is two minutes.
func TestMeasureMemory(t *testing.T) {
	requested(t, measureVar)
	const clients, size, most = 100, 1 << 30, 1536 << 20
	span := 2 * time.Minute
	if text := os.Getenv(timeVar); text != "" {
		span, _ = time.ParseDuration(text)
	}
	s, url := startStub(t)
	if os.Getenv(storeVar) != "" {
		url = openStore(t).url(0, "files", "")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "stub")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "stub")
	n := single(t, url+"&memory=1G")
	before := n.memory(t, "VmRSS")
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	var whole atomic.Int64
	var all sync.WaitGroup
	least := make([]atomic.Int64, clients)
	for i := range clients {
		all.Go(func() {
			c, err := dial(ctx, n.addr, mainUser)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			got := client.Transfer{Path: fmt.Sprintf("/f%d", i), Size: size, Progress: func(done, _ int64) { least[i].Store(done) }}
			_, err = c.StoreWith(ctx, got, zeros(size))
			if err == nil {
				whole.Add(1)
			} else if ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	low := int64(size)
	for i := range least {
		low = min(low, least[i].Load())
	}
	peak := n.memory(t, "VmHWM")
	t.Logf("%d uploads at once for at most %v: %d MiB received in %d parts, %d uploads whole, the slowest client had sent %d MiB; resident: %d MiB before, at most %d MiB",
		clients, span, s.received.Load()>>20, s.parts.Load(), whole.Load(), low>>20, before>>20, peak>>20)
	if peak > most {
		t.Errorf("the peak of memory is %d MiB, want at most %d", peak>>20, most>>20)
	}
}

// TestMeasureListing lists a directory with a million files.
func TestMeasureListing(t *testing.T) {
	requested(t, measureVar)
	_, url := startStub(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "stub")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "stub")
	n := single(t, url)
	for _, verb := range []string{"LIST", "MLSD", "NLST"} {
		n.resetPeak(t)
		before := n.memory(t, "VmRSS")
		t.Logf("%s of %d files: %s; resident: %d MiB before, at most %d MiB", verb, manyKeys, curlList(t, n.addr, "/many/", verb), before>>20, n.memory(t, "VmHWM")>>20)
	}
}

// curlList lists a directory and returns how long that took.
func curlList(t *testing.T, addr, dir, verb string) string {
	t.Helper()
	args := []string{"-sS", "-o", os.DevNull, "-w", "first byte after %{time_starttransfer} s, all after %{time_total} s, %{size_download} bytes", "--user", mainUser + ":" + password, "ftp://" + addr + dir}
	if verb != "LIST" {
		args = append(args, "-X", verb)
	}
	said, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl: %v %s", err, said)
	}
	return string(said)
}

// TestMeasureSessions measures what sessions cost in memory: idle ones, and those in the middle of an upload.
func TestMeasureSessions(t *testing.T) {
	requested(t, measureVar)
	_, url := startStub(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "stub")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "stub")
	for _, m := range []struct {
		what string
		n    int
		sent int64
	}{
		{"idle", 4000, -1},
		{"has sent 4 KiB of a file", 100, 4 << 10},
		{"has sent 200 KiB of a file", 100, 200 << 10},
		{"has sent 1 MiB of a file", 64, 1 << 20},
		{"has sent 30 MiB of a file", 64, 30 << 20},
	} {
		n := single(t, url)
		warm, err := dial(t.Context(), n.addr, mainUser)
		check(t, err)
		time.Sleep(500 * time.Millisecond)
		before := n.memory(t, "VmRSS")
		began := time.Now()
		end := hold(t, n.addr, m.n, m.sent)
		took := time.Since(began)
		time.Sleep(2 * time.Second)
		after := n.memory(t, "VmRSS")
		t.Logf("a session that %s: %d KiB (%d sessions: %d MiB, before %d MiB; they began within %v)", m.what, (after-before)/int64(m.n)>>10, m.n, after>>20, before>>20, took.Round(time.Millisecond))
		end()
		_ = warm.Close()
		n.kill()
	}
}

// hold opens sessions. If sent is not negative, each has begun an upload and sent that much of it. The function
// that it returns ends them.
func hold(t *testing.T, addr string, n int, sent int64) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var opened, ended sync.WaitGroup
	limit := make(chan struct{}, 16)
	for i := range n {
		opened.Add(1)
		ended.Go(func() {
			limit <- struct{}{}
			c, err := dial(ctx, addr, mainUser)
			<-limit
			if err != nil {
				t.Error(err)
				opened.Done()
				return
			}
			defer c.Close()
			if sent < 0 {
				opened.Done()
				<-ctx.Done()
				return
			}
			_, err = c.Store(ctx, fmt.Sprintf("/f%d", i), io.MultiReader(zeros(sent), &gate{ctx: ctx, reached: opened.Done}))
			if err == nil {
				t.Error("an upload that was cut has succeeded")
			}
		})
	}
	opened.Wait()
	return func() { cancel(); ended.Wait() }
}

// gate is a reader that waits until ctx ends.
type gate struct {
	ctx     context.Context
	reached func()
}

func (g *gate) Read([]byte) (int, error) {
	g.reached()
	<-g.ctx.Done()
	return 0, g.ctx.Err()
}

// TestMeasureThroughput measures one node and three nodes over a bucket, and one over a directory.
func TestMeasureThroughput(t *testing.T) {
	requested(t, measureVar)
	s := openStore(t)
	users := "[users." + mainUser + "]\npassword = \"" + password + "\"\n"
	file := t.TempDir() + "/miniftp.toml"
	quota := t.TempDir() + "/quota.toml"
	check(t, os.WriteFile(file, []byte(users), 0o600))
	check(t, os.WriteFile(quota, []byte(users+"quota = \"100G\"\nmax-sessions = 1000\n"), 0o600))
	var rows []string
	measure := func(what string, nodes int, flags func(i int) []string) {
		c := startCluster(t, nodes, flags)
		rows = append(rows, fmt.Sprintf("| %s | %s |", what, strings.Join(throughput(t, c), " | ")))
		for _, n := range c.nodes {
			n.kill()
		}
		c.proxy.kill()
	}
	measure("one node, a local directory", 1, func(int) []string { return []string{"--config", file, t.TempDir()} })
	for _, nodes := range []int{1, 2, 3} {
		measure(fmt.Sprintf("%d nodes, the bucket", nodes), nodes, func(i int) []string { return []string{"--config", file, s.url(i, fmt.Sprintf("n%d", nodes), "")} })
	}
	measure("3 nodes, the bucket, shared state and a quota", 3, func(i int) []string {
		return []string{"--config", quota, "--shared-state", s.url(i, "state", ""), s.url(i, "q", "")}
	})
	t.Logf("through haproxy; in parentheses: processor time of the nodes in s/GiB, or ms for a file or login\n| | STOR 1 GiB, 1 client, MB/s | RETR | STOR 8 × 128 MiB | RETR | STOR 4 KiB, 16 clients, files/s | RETR | login /s |\n%s", strings.Join(rows, "\n"))
}

// throughput returns the rates of a cluster, each with the processor time of its nodes: seconds for 1 GiB, or
// milliseconds for a file or login.
func throughput(t *testing.T, c *cluster) (cells []string) {
	t.Helper()
	addr := c.addr
	cpu := func() (sum time.Duration) {
		for _, n := range c.nodes {
			sum += n.cpu(t)
		}
		return sum
	}
	for _, m := range []struct {
		clients, files int
		size           int64
	}{{1, 1, 1 << 30}, {8, 1, 128 << 20}, {16, 60, 4 << 10}} {
		for _, store := range []bool{true, false} {
			awaitQuiet(t)
			before := cpu()
			took := inParallel(t, addr, m.clients, func(c *client.Client, k int) error {
				for i := range m.files {
					name := fmt.Sprintf("/f%d-%d-%d", m.size, k, i)
					var err error
					if store {
						_, err = c.Store(t.Context(), name, zeros(m.size))
					} else {
						_, err = c.Retrieve(t.Context(), name, io.Discard)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
			n := float64(m.clients * m.files)
			if m.size > 1<<20 {
				bytes := n * float64(m.size)
				cells = append(cells, fmt.Sprintf("%.0f (%.2f)", bytes/1e6/took.Seconds(), (cpu()-before).Seconds()/bytes*(1<<30)))
			} else {
				cells = append(cells, fmt.Sprintf("%.0f (%.2f)", n/took.Seconds(), 1000*(cpu()-before).Seconds()/n))
			}
		}
	}
	const logins = 40
	awaitQuiet(t)
	before := cpu()
	took := inParallel(t, addr, 16, func(*client.Client, int) error {
		for range logins {
			c, err := dial(t.Context(), addr, mainUser)
			if err != nil {
				return err
			}
			if _, err := c.Command(t.Context(), "QUIT", ""); err != nil {
				return err
			}
			_ = c.Close()
		}
		return nil
	})
	return append(cells, fmt.Sprintf("%.0f (%.2f)", 16*logins/took.Seconds(), 1000*(cpu()-before).Seconds()/(16*logins)))
}

// inParallel runs work for several clients, and returns how long that took.
func inParallel(t *testing.T, addr string, clients int, work func(c *client.Client, k int) error) time.Duration {
	t.Helper()
	var all []*client.Client
	for range clients {
		c, err := dial(t.Context(), addr, mainUser)
		check(t, err)
		defer c.Close()
		all = append(all, c)
	}
	began := time.Now()
	var wait sync.WaitGroup
	errs := make([]error, clients)
	for k, c := range all {
		wait.Go(func() { errs[k] = work(c, k) })
	}
	wait.Wait()
	took := time.Since(began)
	check(t, errors.Join(errs...))
	return took
}

// TestMeasureBucketListing lists a directory of a real store with 20,000 files.
func TestMeasureBucketListing(t *testing.T) {
	requested(t, measureVar)
	const files = 20_000
	k := &soak{t: t, store: openStore(t)}
	core, bucket, prefix := k.core()
	began := time.Now()
	work := make(chan int)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for i := range work {
				_, err := core.PutObject(t.Context(), bucket, fmt.Sprintf("%sfiles/many/file-%06d.bin", prefix, i), bytes.NewReader([]byte("1")), 1, "", "", putOptions)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range files {
		work <- i
	}
	close(work)
	wait.Wait()
	t.Logf("%d keys were stored in %v", files, time.Since(began).Round(time.Millisecond))
	n := single(t, k.store.url(0, "files", ""))
	for _, verb := range []string{"LIST", "MLSD"} {
		t.Logf("%s of %d files: %s", verb, files, curlList(t, n.addr, "/many/", verb))
	}
	n.kill()
	n = single(t, k.store.url(0, "files", "&times=exact"))
	t.Logf("MLSD with times=exact: %s", curlList(t, n.addr, "/many/", "MLSD"))
}

// TestMeasureBan finds out whom failed logins of one client keep out: other clients, which come through the same
// balancer, and users at the address of that client.
func TestMeasureBan(t *testing.T) {
	requested(t, measureVar)
	s := openStore(t)
	file := t.TempDir() + "/miniftp.toml"
	check(t, os.WriteFile(file, fmt.Appendf(nil, config, s.url(0, "small", "")), 0o600))
	c := startCluster(t, 3, func(i int) []string {
		return []string{"--config", file, "--failure-delay", "0", "--shared-state", s.url(i, "state", ""), s.url(i, "files", "")}
	})
	login := func(from byte, user, pass string) error {
		g, err := client.Dial(t.Context(), c.addr, &client.Options{User: user, Password: pass, Timeout: 5 * time.Second, Dial: (&net.Dialer{
			LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)},
		}).DialContext})
		if err == nil {
			_ = g.Close()
		}
		return err
	}
	banned := func(from byte) (refusals int) {
		for range 3 {
			if login(from, smallUser, password) != nil {
				refusals++
			}
		}
		return refusals
	}
	for i := range 40 {
		if login(77, fmt.Sprintf("guess%d", i), "wrong") == nil {
			t.Fatal("a wrong password was accepted")
		}
	}
	here, others := banned(77), banned(78)
	if here != 3 || others != 0 {
		t.Errorf("after 40 wrong logins, %d of 3 nodes refuse the address, and %d of 3 another one; want 3 and 0", here, others)
	}
	t.Logf("after 40 wrong logins, %d of 3 nodes refuse the address, and %d of 3 another one", here, others)
	for i := range 12 { // all at one node
		_ = loginAt(t, c.nodes[0].addr, 79, fmt.Sprintf("guess%d", i))
	}
	time.Sleep(6 * time.Second) // not sooner, because a user who has logged in from an address is not banned with it
	if n := banned(79); n != 3 {
		t.Errorf("6 s after a ban by one node, %d of 3 nodes refuse the address", n)
	}
}

// loginAt logs in at a node itself, with a wrong password.
func loginAt(t *testing.T, addr string, from byte, user string) error {
	t.Helper()
	g, err := client.Dial(t.Context(), addr, &client.Options{User: user, Password: "wrong", Timeout: 5 * time.Second, Dial: (&net.Dialer{
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)},
	}).DialContext})
	if err == nil {
		_ = g.Close()
	}
	return err
}

// TestMeasureRequests counts the requests to the store that a command takes.
func TestMeasureRequests(t *testing.T) {
	requested(t, measureVar)
	s, url := startStub(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "stub")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "stub")
	file := t.TempDir() + "/miniftp.toml"
	for _, quota := range []string{"", "quota = \"100G\"\n", "max-sessions = 10\n"} {
		check(t, os.WriteFile(file, []byte("[users."+mainUser+"]\npassword = \""+password+"\"\n"+quota), 0o600))
		base := freePorts(t, 2+portsPerNode)
		n := startNode(t, logDir(t), build(t), 0, base, []string{"--config", file, "--shared-state", strings.Replace(url, "files/", "files/state", 1), strings.Replace(url, "files/", "files/tree", 1)})
		warm, err := dial(t.Context(), n.addr, mainUser) // the first login counts what a quota has
		check(t, err)
		defer warm.Close()
		time.Sleep(time.Second) // until the sweep at the start is over
		var c *client.Client
		content := []byte("content")
		t.Logf("with the setting %q:", quota)
		for _, m := range []struct {
			what string
			do   func() error
		}{
			{"login", func() (err error) { c, err = dial(t.Context(), n.addr, mainUser); return err }},
			{"MKD", func() error { return c.MakeDir(t.Context(), "/d"+quota[:min(len(quota), 2)]) }},
			{"CWD", func() error { return c.ChangeDir(t.Context(), "/d"+quota[:min(len(quota), 2)]) }},
			{"STOR of a new file", func() error { _, err := c.Store(t.Context(), "f", bytes.NewReader(content)); return err }},
			{"STOR of an old file", func() error { _, err := c.Store(t.Context(), "f", bytes.NewReader(content[1:])); return err }},
			{"STOR of 20 MiB", func() error { _, err := c.Store(t.Context(), "big", zeros(20<<20)); return err }},
			{"RETR", func() error { _, err := c.Retrieve(t.Context(), "f", io.Discard); return err }},
			{"SIZE", func() error { _, err := c.Size(t.Context(), "f"); return err }},
			{"MLSD of 2 files", func() error {
				for _, err := range c.List(t.Context(), ".") {
					if err != nil {
						return err
					}
				}
				return nil
			}},
			{"DELE", func() error { return c.Delete(t.Context(), "f") }},
		} {
			before := s.requests.Load()
			check(t, m.do())
			time.Sleep(100 * time.Millisecond) // a lease is given up in the background
			t.Logf("%s: %d requests", m.what, s.requests.Load()-before)
		}
		_ = c.Close()
		n.kill()
	}
}
