package serve

import "miniftp/cmd/miniftp/internal/sessions"

// quotas returns what the users have used of their quotas.
func (s *serving) quotas() []sessions.Quota {
	var all []sessions.Quota
	for _, u := range s.srv.Quotas() {
		all = append(all, sessions.Quota{
			User: u.User, Path: u.Path, Bytes: u.Used.Bytes, MaxBytes: u.Limit.Bytes, Files: u.Used.Files, MaxFiles: u.Limit.Files,
		})
	}
	return all
}
