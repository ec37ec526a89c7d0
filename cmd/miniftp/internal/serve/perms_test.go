package serve

import (
	"testing"

	"miniftp/ftp/server"
)

// TestPermissions: each permission in the configuration is one of the server's, and each of the server's
// has a word.
func TestPermissions(t *testing.T) {
	rw := parsed(t, "--user", "a:b:rw").User("a")
	var all server.Perm
	for _, word := range rw.Perms {
		if perms[word] == 0 {
			t.Errorf("%s is not a permission of the server", word)
		}
		all |= perms[word]
	}
	if all != server.ReadWrite || len(perms) != len(rw.Perms) {
		t.Errorf("all words together give %v, want %v", all, server.ReadWrite)
	}
	for word, want := range map[string]server.Perm{"ro": server.ReadOnly, "rw": server.ReadWrite, "drop": server.DropBox} {
		cf := parsed(t, "--user", "a:b:"+word)
		a := cf.User("a")
		if got := permsOf(a.Perms); got != want || a.May() != word || a.Writes() != (want&^server.ReadOnly != 0) {
			t.Errorf("%s: %v, %s, %v", word, got, a.May(), a.Writes())
		}
	}
}
