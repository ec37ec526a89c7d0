// Package systemd tells systemd how the service is, and takes over the sockets that systemd listens on for it. If systemd
// has not started the program, and on systems without systemd, it does nothing.
//
// It implements the protocols of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3). It does not know what the
// service does.
package systemd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Service sends the state of this process to systemd. Its methods are safe for concurrent use.
type Service struct {
	// Failed, if not nil, is called with the first error of sending.
	Failed func(error)

	address  string // of the socket; "" if there is none
	watchdog time.Duration

	mu     sync.Mutex
	failed bool
	status string
}

// Open returns the Service that the environment describes, and removes its variables, so that they are not inherited. It
// returns an error if a variable is not valid.
func Open() (*Service, error) {
	address, interval, pid := take("NOTIFY_SOCKET"), take("WATCHDOG_USEC"), take("WATCHDOG_PID")
	s := &Service{}
	if !supported || address == "" {
		return s, nil
	}
	if address[0] != '/' && address[0] != '@' {
		return s, fmt.Errorf("NOTIFY_SOCKET=%q is neither a path nor an abstract name", address)
	}
	s.address = address
	if interval == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return s, nil
	}
	usec, err := strconv.ParseInt(interval, 10, 64)
	if err != nil || usec <= 0 || usec > int64(maxWatchdog/time.Microsecond) {
		return s, fmt.Errorf("WATCHDOG_USEC=%q is not a number of microseconds", interval)
	}
	s.watchdog = time.Duration(usec) * time.Microsecond
	return s, nil
}

// maxWatchdog is larger than any useful interval.
const maxWatchdog = 1000 * time.Hour

// take returns a variable of the environment, which it removes.
func take(name string) string {
	value := os.Getenv(name)
	_ = os.Unsetenv(name)
	return value
}

// Present reports whether systemd wants to know the state of this process.
func (s *Service) Present() bool { return s.address != "" }

// Ready reports that the service accepts clients, or has ended a reload.
func (s *Service) Ready(status string) { s.tell(status, "READY=1") }

// Reloading reports that a reload begins. Ready must follow.
func (s *Service) Reloading() { s.tell("reloading", "RELOADING=1", "MONOTONIC_USEC="+monotonic()) }

// Stopping reports that the service stops, which may take up to longest.
func (s *Service) Stopping(status string, longest time.Duration) {
	s.tell(status, "STOPPING=1", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", longest.Microseconds()))
}

// Status reports what systemctl status shows, if it has changed.
func (s *Service) Status(status string) {
	s.mu.Lock()
	same := status == s.status
	s.mu.Unlock()
	if !same {
		s.tell(status)
	}
}

// tell sends a status and other assignments as one message.
func (s *Service) tell(status string, lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	s.send(append(lines, "STATUS="+strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, status)))
}

// send sends assignments. s.mu must be held.
func (s *Service) send(lines []string) {
	if s.address == "" {
		return
	}
	if err := send(s.address, strings.Join(lines, "\n")); err != nil && !s.failed {
		s.failed = true
		if s.Failed != nil {
			s.Failed(err)
		}
	}
}
