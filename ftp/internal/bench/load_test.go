package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// result holds the numbers of a row of miniftp bench --json, by name.
type result map[string]float64

// load runs a row of miniftp bench against a server. It returns either a result or the
// description of a problem.
func (l *lab) load(t *target, row, dir string, flags ...string) (result, string) {
	args := []string{"bench", "--json", "--timeout", "60s", "--only", row, "--server-pid", strconv.Itoa(t.pid)}
	if t.certs != nil {
		args = append(args, "--ca-cert", t.certs.CAFile)
	}
	args = append(append(args, flags...), t.url(dir))
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.bin, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return parseLoad(out.Bytes(), firstLine(errs.String()), err)
}

// parseLoad parses the output of a run with one row.
func parseLoad(out []byte, said string, err error) (result, string) {
	var all struct{ Rows []map[string]any }
	if json.Unmarshal(out, &all) != nil || len(all.Rows) != 1 {
		return nil, fmt.Sprintf("%v: %s", err, said)
	}
	r := result{}
	for name, v := range all.Rows[0] {
		switch v := v.(type) {
		case float64:
			r[name] = v
		case string:
			if name == "left_out" || name == "error" {
				return nil, v
			}
		}
	}
	if n := r["failures"]; n > 0 {
		return nil, fmt.Sprintf("%g failed: %s", n, said)
	}
	if err != nil {
		return nil, fmt.Sprintf("%v: %s", err, said)
	}
	return r, ""
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
