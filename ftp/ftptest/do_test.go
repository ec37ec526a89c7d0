package ftptest_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/ftptest"
)

// playClient runs the client against the server's side of a script. The contents that the client
// retrieves must be those of the script's files.
func playClient(t *testing.T, s *ftptest.Script) {
	err := ftptest.PlayClient(s, func(addr string, words []string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		o := &client.Options{Timeout: 10 * time.Second}
		if words[0] == "active" {
			o.Mode, words = ftp.Active, words[1:]
		}
		c, err := client.Dial(ctx, addr, o)
		if err != nil {
			return err
		}
		if err := do(ctx, c, s, words); err != nil {
			_ = c.Close()
			return err
		}
		return c.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func do(ctx context.Context, c *client.Client, s *ftptest.Script, words []string) error {
	arg := func(i int) string { return words[min(i, len(words)-1)] }
	switch words[0] {
	case "get":
		var got bytes.Buffer
		_, err := c.Retrieve(ctx, arg(1), &got)
		if err == nil && got.String() != s.Before[arg(1)] {
			err = fmt.Errorf("got %q", got.String())
		}
		return err
	case "missing":
		if _, err := c.Retrieve(ctx, arg(1), new(bytes.Buffer)); err == nil {
			return fmt.Errorf("a missing file was fetched")
		}
		return nil
	case "put":
		_, err := c.Store(ctx, arg(1), strings.NewReader(s.After[arg(1)]))
		return err
	case "append":
		_, err := c.Append(ctx, arg(1), strings.NewReader(strings.TrimPrefix(s.After[arg(1)], s.Before[arg(1)])))
		return err
	case "ls":
		var names []string
		for e, err := range c.List(ctx, arg(1)) {
			if err != nil {
				return err
			}
			names = append(names, e.Name)
		}
		if got := strings.Join(names, " "); got != strings.Join(words[2:], " ") {
			return fmt.Errorf("listed %q", got)
		}
		return nil
	case "mv":
		return c.Rename(ctx, arg(1), arg(2))
	case "rm":
		return c.Delete(ctx, arg(1))
	case "mkdir":
		return c.MakeDir(ctx, arg(1))
	case "rmdir":
		return c.RemoveDir(ctx, arg(1))
	}
	return fmt.Errorf("unknown word %q in the do: line", words[0])
}
