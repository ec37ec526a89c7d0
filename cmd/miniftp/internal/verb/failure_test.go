package verb

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
		want Failure
	}{
		{At("ftp://h/a", reply), Failure{"rm", "ftp://h/a", "ftp://h/a: the server says 550 No.", "refused", ExitRefused, "550 No."}},
		{At("ftp://u:pw@h/a", reply), Failure{"rm", "ftp://u:****@h/a", "", "refused", ExitRefused, "550 No."}},
		{At("there", &client.LocalError{Err: errors.New("full")}), Failure{"rm", "", "there: full", "local", ExitLocal, ""}},
		{Usagef("no"), Failure{"rm", "", "no", "usage", ExitUsage, ""}},
		{context.Canceled, Failure{"rm", "", "context canceled", "interrupted", ExitInterrupted, ""}},
		{errors.New("odd"), Failure{"rm", "", "odd", "failure", ExitFailure, ""}},
	} {
		got := *NewFailure("rm", tt.err)
		if tt.want.Error == "" {
			got.Error = ""
		}
		if got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.err, got, tt.want)
		}
	}
	for _, x := range ExitMeanings {
		if x.Code != ExitOK && failureKinds[x.Code] == "" {
			t.Errorf("exit %d has no kind", x.Code)
		}
	}
}
