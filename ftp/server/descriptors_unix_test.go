//go:build unix

package server

import "testing"

// Some descriptors are reserved for the sessions, however low the limit is.
func TestReservedDescriptors(t *testing.T) {
	for _, tt := range []struct {
		limit, first uint64 // first is the lowest reserved descriptor
	}{{60, 45}, {1024, 960}, {1 << 20, 1<<20 - 64}, {1<<63 - 1, 1<<63 - 65}} {
		if reserved(tt.first-1, tt.limit) || !reserved(tt.first, tt.limit) || !reserved(tt.limit-1, tt.limit) {
			t.Errorf("limit %d: the reserved descriptors do not start at %d", tt.limit, tt.first)
		}
	}
}
