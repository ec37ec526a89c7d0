package fxp_test

import (
	"io"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
)

func TestMayEndBetter(t *testing.T) {
	busy := &ftp.Error{Verb: "RETR", Reply: ftp.NewReply(425, "no")}
	for _, again := range []func(error) bool{nil, func(error) bool { return true }} {
		if fxp.MayEndBetter(&fxp.NoWayError{Tried: []*fxp.Error{{Err: busy}}}, again) {
			t.Error("another try would find no way either")
		}
	}
	if !fxp.MayEndBetter(&fxp.Error{Err: &client.DeadError{Err: io.EOF}}, nil) {
		t.Error("a connection that broke is worth another try")
	}
}
