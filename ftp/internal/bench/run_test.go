package bench

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// spent holds the cost of a client's run: the time in seconds, the highest RSS in MiB, and the
// number of connections through the relay.
type spent struct{ wall, cpu, rss, calls float64 }

// runClient runs a client until it ends or its time limit is reached.
func runClient(argv []string, home string, limit time.Duration) (spent, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "LC_ALL=C.UTF-8")
	cmd.Dir = home
	var errs bytes.Buffer
	cmd.Stderr, cmd.Stdout = &errs, &errs
	cmd.WaitDelay = time.Second
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return spent{}, err
	}
	stop, peak := make(chan struct{}), make(chan float64)
	go func() { peak <- watch(cmd.Process.Pid, stop) }()
	err := cmd.Wait()
	s := spent{wall: time.Since(start).Seconds()}
	close(stop)
	s.rss = <-peak
	if ctx.Err() != nil {
		return s, errLate
	}
	if err != nil {
		return s, fmt.Errorf("%w: %s", err, firstLine(errs.String()))
	}
	s.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return s, nil
}

var errLate = fmt.Errorf("it took too long")

// watch reads the highest RSS of a process until it ends. The rusage of a child cannot be used: it
// includes the memory of its parent before exec, which is larger than that of many clients.
func watch(pid int, stop <-chan struct{}) (mib float64) {
	often := time.NewTicker(2 * time.Millisecond)
	defer often.Stop()
	name := fmt.Sprintf("/proc/%d/status", pid)
	for {
		b, _ := os.ReadFile(name)
		if kib := statusField(string(b), "VmHWM:"); kib > 0 {
			mib = kib / 1024
		}
		select {
		case <-stop:
			return mib
		case <-often.C:
		}
	}
}

// statusField returns a number from /proc/PID/status.
func statusField(status, name string) float64 {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, _ := strconv.ParseFloat(f[1], 64)
			return n
		}
	}
	return 0
}

// held counts the files below a directory and their bytes, without hidden files, in which clients
// keep their own data.
func held(dir string) (files int, size int64, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		fi, err := d.Info()
		if err == nil {
			files++
			size += fi.Size()
		}
		return err
	})
	return files, size, err
}
