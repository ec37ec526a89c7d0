package server

import "testing"

// These names are on users' disks: a new version has to recognize those of an older one.
func TestPartialNameStays(t *testing.T) {
	for want, n := range map[string]partialName{
		".report.pdf.000000050000ffee4ff02921.upload":         {base: "report.pdf", owner: 5, target: 0xffee},
		".report.pdf.000000050000ffee0000004d13fa5809.upload": {base: "report.pdf", owner: 5, target: 0xffee, random: 77},
	} {
		if got := n.String(); got != want {
			t.Errorf("%+v is %q, want %q", n, got, want)
		}
		if got, ok := parsePartial(want); !ok || got != n {
			t.Errorf("%q is parsed as %+v, %v", want, got, ok)
		}
	}
}
