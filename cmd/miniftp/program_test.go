package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// bin holds the program that tests run in processes of its own; it is the first of PATH.
var bin string

// TestMain puts a directory for miniftp before the others of PATH.
func TestMain(m *testing.M) {
	runParallel()
	geteuid = func() int { return 1000 } // whoever runs the tests: what root is told has a test of its own
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "miniftp-bin"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(bin)
		os.Setenv("NETRC", filepath.Join(bin, "no netrc")) // nobody's own logins
		os.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
		return m.Run()
	}())
}

// runParallel lets more parallel tests run at once than there are processors, unless the
// command line sets -parallel: most of them wait, for a timer or another process.
func runParallel() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
	}
}

// soaking reports whether make soak runs the tests.
var soaking = os.Getenv("MINIFTP_SOAK") != ""

// buildProgram makes miniftp once, as its users have it: without the race detector,
// under which each process starts slowly, but for a MINIFTP_SOAK that has it. What it
// runs is tested inside the test binary, too.
var buildProgram = sync.OnceValue(func() error {
	args := []string{"build", "-o", programName()}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if raceDetector && soaking {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // else each process ends a second late
		cmd = exec.Command("go", append(args, "-race", ".")...)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
})

// programName is where miniftp is once it is built.
func programName() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(bin, "miniftp.exe")
	}
	return filepath.Join(bin, "miniftp")
}

// long skips a test that takes more than a moment where the tests run with -short.
func long(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short: it takes more than a moment")
	}
}

// program returns the built program: "miniftp" finds it, too.
func program(t testing.TB) string {
	t.Helper()
	long(t)
	if err := buildProgram(); err != nil {
		t.Fatal(err)
	}
	return programName()
}
