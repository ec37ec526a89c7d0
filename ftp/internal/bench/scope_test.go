package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// scope is a testing.TB for a part of the benchmark. A failure in it ends only the current try and is
// reported; Cleanup functions run when the scope is closed.
type scope struct {
	testing.TB

	mu   sync.Mutex
	ends []func()
	said string
}

// try runs do. It returns the message of a failure or of a skip, or "".
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

// close runs the functions of Cleanup.
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

// TempDir returns a directory that is removed when the scope is closed.
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
