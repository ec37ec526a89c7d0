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
			t.Error("a copy without a way is tried again, although no try could find one")
		}
	}
	if !fxp.MayEndBetter(&fxp.Error{Err: &client.DeadError{Err: io.EOF}}, nil) {
		t.Error("a copy whose connection failed is not tried again")
	}
}
