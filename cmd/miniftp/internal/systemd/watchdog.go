package systemd

import (
	"context"
	"time"
)

// Watch pings the watchdog of systemd at half of its interval while alive returns nil, until ctx ends. If there is no
// watchdog, it returns at once. alive must return when its context ends. silent, if not nil, is called with the error when the
// pings stop, and with nil when they continue.
//
// If alive fails, systemd ends the service after the rest of the interval, unless it recovers before.
func (s *Service) Watch(ctx context.Context, alive func(context.Context) error, silent func(error)) {
	if s.watchdog == 0 {
		return
	}
	tick := time.NewTicker(s.watchdog / 2)
	defer tick.Stop()
	quiet := false
	for {
		check, cancel := context.WithTimeout(ctx, s.watchdog/4)
		err := alive(check)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			s.mu.Lock()
			s.send([]string{"WATCHDOG=1"})
			s.mu.Unlock()
		}
		if now := err != nil; now != quiet {
			quiet = now
			if silent != nil {
				silent(err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Watched reports whether there is a watchdog.
func (s *Service) Watched() bool { return s.watchdog > 0 }
