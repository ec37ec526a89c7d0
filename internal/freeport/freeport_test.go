package freeport

import (
	"fmt"
	"net"
	"testing"
)

// TestReserve: ports that are reserved can be listened on with TCP, and are not reserved twice until they are released.
func TestReserve(t *testing.T) {
	port, release, err := Reserve(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
		if err != nil {
			t.Error(err)
			continue
		}
		if again, err := reserve(t.Context(), port+i, 1); err == nil {
			again()
			t.Errorf("port %d was reserved twice", port+i)
		}
		_ = l.Close()
		if again, err := reserve(t.Context(), port+i, 1); err == nil {
			again()
			t.Errorf("port %d was reserved twice while nothing listened", port+i)
		}
	}
	release()
	for range 10 { // another test may take them first
		if release, err = reserve(t.Context(), port, 3); err == nil {
			release()
			return
		}
		if port, release, err = Reserve(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		release()
	}
	t.Errorf("after the release: %v", err)
}
