package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// scope is a test within the benchmark: what fails in it is told and ends only what
// was being tried, and what was started in it ends with it.
type scope struct {
	testing.TB

	mu   sync.Mutex
	ends []func()
	said string
}

// try runs do; its problem is what do has failed with, or why it was skipped.
func (s *scope) try(do func()) (problem string) {
	s.said = ""
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	<-done
	return s.said
}

// close ends what was started.
func (s *scope) close() {
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
	s.ends = nil
}

func (s *scope) end(said string) {
	s.said, _, _ = strings.Cut(strings.TrimSpace(said), "\n")
	runtime.Goexit()
}

// Cleanup runs f when the scope is closed.
func (s *scope) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, f)
}

// TempDir goes with the scope.
func (s *scope) TempDir() string {
	dir, err := os.MkdirTemp("", "miniftp-bench-")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *scope) Fatal(args ...any)                 { s.end(fmt.Sprint(args...)) }
func (s *scope) Fatalf(format string, args ...any) { s.end(fmt.Sprintf(format, args...)) }
func (s *scope) Skipf(format string, args ...any)  { s.end(fmt.Sprintf(format, args...)) }
