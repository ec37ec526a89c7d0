package peers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// FreePorts finds n ports in a row that nobody has, and returns the first. They are
// below those that systems hand out by themselves: up there the connections of other
// tests, and what is left of them for a minute, leave no such row.
func FreePorts(t testing.TB, n int) uint16 {
	t.Helper()
	for range 1000 {
		lo := 12000 + rand.IntN(15000)
		var taken []net.Listener
		for port := lo; port < lo+n; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
			if err != nil {
				break
			}
			taken = append(taken, l)
		}
		for _, l := range taken {
			_ = l.Close()
		}
		if len(taken) == n {
			return uint16(lo)
		}
	}
	t.Fatalf("no %d free ports in a row", n)
	return 0
}
