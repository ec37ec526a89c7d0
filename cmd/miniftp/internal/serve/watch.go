package serve

import (
	"maps"
	"slices"
	"time"

	"miniftp/cmd/miniftp/internal/storage"
)

// storedEvery is the time between two looks at settings in a bucket. A look is a request for each file.
const storedEvery = 15 * time.Second

// watchStored returns a channel that gets a value when the configuration file or the users file was changed, if they
// are in a storage such as a bucket. Several servers can then have the same settings, and nobody has to send each of
// them a SIGHUP. The channel is nil if there is nothing to watch. The watch ends when the server begins to stop.
func (s *serving) watchStored() <-chan struct{} {
	var names []string
	for _, name := range []string{s.cf.Path, s.cf.UsersFile} {
		if storage.Is(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	changed := make(chan struct{})
	ctx := s.roots.ctx
	s.roots.sweeps.Go(func() {
		last := s.versions(names)
		tick := time.NewTicker(storedEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			now := s.versions(names)
			if now == nil || maps.Equal(now, last) {
				continue
			}
			select {
			case changed <- struct{}{}:
				last = now
			case <-ctx.Done():
				return
			}
		}
	})
	return changed
}

// versions returns the versions of the files, or nil if they can't be read now. The current settings stay in force
// then, and the log says so.
func (s *serving) versions(names []string) map[string]string {
	all := map[string]string{}
	for _, name := range slices.Compact(names) {
		v, err := storage.Version(name)
		if err != nil {
			s.logs.log.Warn("can't look whether the settings have changed", "err", err)
			return nil
		}
		all[name] = v
	}
	return all
}
