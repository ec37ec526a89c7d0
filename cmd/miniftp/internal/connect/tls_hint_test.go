package connect

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/client"
)

// TestSilentHint: if a server sends no greeting, the error says that it may expect TLS.
func TestSilentHint(t *testing.T) {
	late := fmt.Errorf("%w within 1s", client.ErrTimeout)
	for _, tt := range []struct {
		addr string
		err  error
		mode client.TLSMode
		hint bool
	}{
		{"h:990", late, client.ExplicitTLS, true},
		{"h:990", late, client.NoTLS, true},
		{"h:990", late, client.ImplicitTLS, false},
		{"h:990", errors.New("refused"), client.ExplicitTLS, false},
		{"h:2121", late, client.ExplicitTLS, true},
		{"h:2121", late, client.NoTLS, false},
	} {
		err := &client.ConnectError{Addr: tt.addr, Err: tt.err}
		got := TLSHint(err, client.Options{TLS: tt.mode})
		if strings.Contains(got.Error(), "try ftps://") != tt.hint || verb.ExitCode(got) != verb.ExitConnect {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
