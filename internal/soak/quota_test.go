package soak_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"miniftp/ftp/client"
)

// TestMeasureQuota measures how many small uploads of one user three nodes store in a second, without and with a
// quota, and how long the slowest took.
func TestMeasureQuota(t *testing.T) {
	requested(t, measureVar)
	s := openStore(t)
	file := t.TempDir() + "/miniftp.toml"
	for _, quota := range []string{"", "quota = \"100G\"\n"} {
		check(t, os.WriteFile(file, []byte("[users."+mainUser+"]\npassword = \""+password+"\"\n"+quota), 0o600))
		c := startCluster(t, 3, func(i int) []string {
			return []string{"--config", file, "--shared-state", s.url(i, "state", ""), s.url(i, "q"+quota[:min(1, len(quota))], "")}
		})
		for _, clients := range []int{1, 4, 16, 50} {
			awaitQuiet(t)
			t.Logf("%q, %d clients: %s", strings.TrimSpace(quota), clients, storeSmall(t, c, clients, 8*time.Second))
		}
		for _, n := range c.nodes {
			n.kill()
		}
		c.proxy.kill()
	}
}

// storeSmall has clients store small new files for a while.
func storeSmall(t *testing.T, c *cluster, clients int, span time.Duration) string {
	t.Helper()
	var stored, refused atomic.Int64
	var mu sync.Mutex
	var slowest time.Duration
	end := time.Now().Add(span)
	took := inParallel(t, c.addr, clients, func(cl *client.Client, k int) error {
		for i := 0; time.Now().Before(end); i++ {
			began := time.Now()
			_, err := cl.Store(t.Context(), fmt.Sprintf("/f%d-%d-%d", clients, k, i), zeros(4<<10))
			mu.Lock()
			slowest = max(slowest, time.Since(began))
			mu.Unlock()
			if _, decided := refusedWith(err); decided {
				refused.Add(1)
				continue
			}
			if err != nil {
				return err
			}
			stored.Add(1)
		}
		return nil
	})
	return fmt.Sprintf("%.0f files/s, %d refused, the slowest took %v", float64(stored.Load())/took.Seconds(), refused.Load(), slowest.Round(time.Millisecond))
}
