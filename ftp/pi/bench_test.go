package pi_test

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/pi"
)

// BenchmarkPipeline measures the client's side of fifty NOOPs in one write.
func BenchmarkPipeline(b *testing.B) {
	here, there := net.Pipe()
	const n = 50
	go func() {
		in := bufio.NewReader(there)
		answers := []byte(strings.Repeat("200 NOOP ok\r\n", n))
		for {
			for range n {
				if _, err := in.ReadSlice('\n'); err != nil {
					return
				}
			}
			if _, err := there.Write(answers); err != nil {
				return
			}
		}
	}()
	c := pi.New(here, "there:21", pi.Config{})
	defer c.Close()
	cmds := make([]ftp.Command, n)
	for i := range cmds {
		cmds[i] = ftp.Command{Verb: "NOOP"}
	}
	for b.Loop() {
		if err := c.Write(cmds...); err != nil {
			b.Fatal(err)
		}
		for range n {
			if _, err := c.Next(context.Background(), cmds[0]); err != nil {
				b.Fatal(err)
			}
		}
	}
}
