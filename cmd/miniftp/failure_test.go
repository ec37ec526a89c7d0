package main

import (
	"context"
	"errors"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

func TestNewFailure(t *testing.T) {
	reply := &ftp.Error{Verb: "DELE", Reply: ftp.NewReply(550, "No.")}
	for _, tt := range []struct {
		err  error
		want failure
	}{
		{at("ftp://h/a", reply), failure{"rm", "ftp://h/a", "ftp://h/a: the server says 550 No.", "refused", exitRefused, "550 No."}},
		{at("ftp://u:pw@h/a", reply), failure{"rm", "ftp://u:****@h/a", "", "refused", exitRefused, "550 No."}},
		{at("there", &client.LocalError{Err: errors.New("full")}), failure{"rm", "", "there: full", "local", exitLocal, ""}},
		{usagef("no"), failure{"rm", "", "no", "usage", exitUsage, ""}},
		{context.Canceled, failure{"rm", "", "context canceled", "interrupted", exitInterrupted, ""}},
		{errors.New("odd"), failure{"rm", "", "odd", "failure", exitFailure, ""}},
	} {
		got := *newFailure("rm", tt.err)
		if tt.want.Error == "" {
			got.Error = ""
		}
		if got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.err, got, tt.want)
		}
	}
	for _, x := range exitMeanings {
		if x.code != exitOK && failureKinds[x.code] == "" {
			t.Errorf("exit %d has no kind", x.code)
		}
	}
}
