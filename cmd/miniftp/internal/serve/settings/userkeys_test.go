package settings

import (
	"testing"

	"miniftp/ftp/server"
)

// TestFamilies: each permission can be named.
func TestFamilies(t *testing.T) {
	var all server.Perm
	for _, f := range families {
		all |= f.perm
	}
	if all != server.ReadWrite {
		t.Errorf("the families are %v", all)
	}
}
