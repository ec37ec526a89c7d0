package dtp

import "testing"

func TestPortRange(t *testing.T) {
	for s, want := range map[string]PortRange{
		"40000-40100": {40000, 40100}, "40000": {40000, 40000}, "1-65535": {1, 65535}, " 2 - 3 ": {2, 3},
		"": {}, "0": {}, "0-0": {}, "0-5": {}, "5-4": {}, "1-65536": {}, "-": {}, "1-2-3": {}, "ftp": {},
	} {
		got, err := ParsePortRange(s)
		if got != want || (err != nil) != want.IsZero() {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
		if again, err := ParsePortRange(got.String()); !got.IsZero() && (again != got || err != nil) {
			t.Errorf("%v reads as %v, %v", got, again, err)
		}
	}
	for r, want := range map[PortRange]int{{}: 0, {5, 5}: 1, {40000, 40100}: 101, {1, 65535}: 65535} {
		if got := r.Len(); got != want {
			t.Errorf("%v has %d ports, want %d", r, got, want)
		}
	}
}
