package bench

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// result is what a row measured: one figure per measure.
type result map[string]float64

// row is one load. Its measures are the rows of speed.md in docs/performance.md.
type row struct {
	name     string
	measures []measure
	run      func(tb testing.TB, s *target) result
	skip     string // a server that can't do it
}

// measure is one figure: for rates more is better, for costs less.
type measure struct {
	key, title, unit string
	cost             bool
}

const gib = 1 << 30

// perGiB runs a load and returns its processor seconds per GiB and its MB/s.
func perGiB(tb testing.TB, s *target, bytes int64, load func()) result {
	before, start := cpu(tb, s.pid), time.Now()
	load()
	took := time.Since(start)
	return result{
		"cpu":  (cpu(tb, s.pid) - before).Seconds() * gib / float64(bytes),
		"rate": float64(bytes) / took.Seconds() / 1e6,
	}
}

// perItem is the same for n things.
func perItem(tb testing.TB, s *target, n int, load func()) result {
	before, start := cpu(tb, s.pid), time.Now()
	load()
	took := time.Since(start)
	return result{
		"cpu":  float64((cpu(tb, s.pid) - before).Microseconds()) / float64(n),
		"rate": float64(n) / took.Seconds(),
	}
}

var rows = []row{
	{
		name:     "RETR 1 GiB",
		measures: []measure{{"cpu", "1 RETR 1 GiB, CPU", "s/GiB", true}, {"rate", "2 RETR 1 GiB", "MB/s", false}},
		run: func(tb testing.TB, s *target) result {
			c := login(tb, s)
			defer c.close()
			return perGiB(tb, s, gib, func() {
				if n, _ := c.retr("RETR big", scratch); n != gib {
					tb.Fatalf("%d bytes came", n)
				}
			})
		},
	},
	{
		name:     "STOR 1 GiB",
		measures: []measure{{"cpu", "3 STOR 1 GiB, CPU", "s/GiB", true}},
		run: func(tb testing.TB, s *target) result {
			c := login(tb, s)
			defer c.close()
			r := perGiB(tb, s, gib, func() { c.stor("up/in", gib) })
			c.cmd("DELE up/in", "2")
			return r
		},
	},
	{
		name:     "RETR 4 KiB",
		measures: []measure{{"cpu", "6 RETR 4 KiB, CPU", "µs", true}, {"rate", "7 RETR 4 KiB", "files/s", false}},
		run: func(tb testing.TB, s *target) result {
			c := login(tb, s)
			defer c.close()
			const n = 4000
			return perItem(tb, s, n, func() {
				for range n {
					c.retr("RETR small", scratch)
				}
			})
		},
	},
	{
		name:     "login and QUIT, 16 at a time",
		measures: []measure{{"rate", "8 login and QUIT, 16 at a time", "/s", false}, {"cpu", "8 login and QUIT, CPU", "µs", true}},
		run: func(tb testing.TB, s *target) result {
			const workers, each = 16, 40
			return perItem(tb, s, workers*each, func() {
				var wg sync.WaitGroup
				for range workers {
					wg.Go(func() {
						for range each {
							login(tb, s).close()
						}
					})
				}
				wg.Wait()
			})
		},
	},
	listRow("LIST", "", "10 LIST of 10,000, CPU"),
	listRow("MLSD", "vsftpd", "10 MLSD of 10,000, CPU"),
	firstRow("LIST", "", "11 LIST of 100,000, first byte"),
	firstRow("MLSD", "vsftpd", "11 MLSD of 100,000, first byte"),
	{
		name:     "300 times 20 MiB at once",
		measures: []measure{{"cpu", "12 300 × 20 MiB at once, CPU", "s/GiB", true}, {"p99", "12 the same, p99 wait for the 150", "ms", true}},
		run:      runMany,
	},
	{
		name:     "1000 idle sessions",
		measures: []measure{{"pss", "13 idle session, PSS", "KiB", true}},
		run: func(tb testing.TB, s *target) result {
			n := 1000
			if s.name != "miniftp" {
				n = 200 // a process or two for each
			}
			s = again(tb, s) // memory that an earlier row left would count for nothing
			login(tb, s).close()
			before := pss(tb, s.pid)
			var all []*control
			for range n {
				all = append(all, login(tb, s))
			}
			r := result{"pss": (pss(tb, s.pid) - before) / float64(n)}
			for _, c := range all {
				c.close()
			}
			return r
		},
	},
	{
		name:     "passive data connections",
		measures: []measure{{"cpu", "15 passive data connection, CPU", "µs", true}},
		run: func(tb testing.TB, s *target) result {
			c := login(tb, s)
			defer c.close()
			const n = 4000
			return perItem(tb, s, n, func() {
				for range n {
					c.retr("RETR empty", scratch)
				}
			})
		},
	},
	{
		name:     "NOOP",
		measures: []measure{{"p50", "16 NOOP, p50", "µs", true}},
		run: func(tb testing.TB, s *target) result {
			c := login(tb, s)
			defer c.close()
			times := make([]time.Duration, 20_000)
			for i := range times {
				start := time.Now()
				c.cmd("NOOP", "2")
				times[i] = time.Since(start)
			}
			return result{"p50": float64(percentile(times, 0.5).Nanoseconds()) / 1e3}
		},
	},
	{
		name:     "NOOP pipelined",
		measures: []measure{{"rate", "17 NOOP pipelined", "/s", false}, {"cpu", "17 NOOP pipelined, CPU", "µs", true}},
		run: func(tb testing.TB, s *target) result {
			c := login(tb, s)
			defer c.close()
			const batch, n = 50, 2000
			lines := strings.Repeat("NOOP\r\n", batch)
			return perItem(tb, s, batch*n, func() {
				for range n {
					if _, err := io.WriteString(c.conn, lines); err != nil {
						tb.Fatal(err)
					}
					for range batch {
						c.want("2")
					}
				}
			})
		},
	},
	{
		name:     "RETR in ASCII",
		measures: []measure{{"cpu", "18 RETR in TYPE A, CPU", "s/GiB", true}},
		run: func(tb testing.TB, s *target) result {
			c := login(tb, s)
			defer c.close()
			c.cmd("TYPE A", "2")
			return perGiB(tb, s, 256<<20, func() { c.retr("RETR text", scratch) })
		},
	},
}

func listRow(verb, skip, title string) row {
	return row{
		name: verb + " of 10,000", skip: skip,
		measures: []measure{{"cpu", title, "µs/entry", true}},
		run: func(tb testing.TB, s *target) result {
			c := login(tb, s)
			defer c.close()
			const times, entries = 20, 10_000
			return perItem(tb, s, times*entries, func() {
				for range times {
					c.retr(verb+" ten", scratch)
				}
			})
		},
	}
}

func firstRow(verb, skip, title string) row {
	return row{
		name: verb + " of 100,000", skip: skip,
		measures: []measure{{"first", title, "ms", true}},
		run: func(tb testing.TB, s *target) result {
			c := login(tb, s)
			defer c.close()
			_, first := c.retr(verb+" hundred", scratch)
			return result{"first": first.Seconds() * 1e3}
		},
	}
}

// runMany lets 300 sessions fetch at once.
func runMany(tb testing.TB, s *target) result {
	const sessions, size = 300, 20 << 20
	waits := make([]time.Duration, sessions)
	var all [sessions]*control
	var data [sessions]net.Conn
	for i := range all {
		all[i] = login(tb, s)
		data[i] = all[i].epsv()
	}
	r := perGiB(tb, s, sessions*size, func() {
		var wg sync.WaitGroup
		for i := range all {
			wg.Go(func() {
				start := time.Now()
				all[i].send("RETR twenty")
				all[i].want("1")
				waits[i] = time.Since(start)
				n, err := drain(data[i], make([]byte, 64<<10))
				_ = data[i].Close()
				if err != nil || n != size {
					tb.Errorf("session %d: %d bytes, %v", i, n, err)
				}
				all[i].want("2")
			})
		}
		wg.Wait()
	})
	for _, c := range all {
		c.close()
	}
	r["p99"] = percentile(waits, 0.99).Seconds() * 1e3
	return r
}

// note says what was left out, in the table.
func (r row) can(s *target) bool { return r.skip == "" || !strings.Contains(r.skip, s.name) }

func (m measure) String() string { return fmt.Sprintf("%s (%s)", m.title, m.unit) }
