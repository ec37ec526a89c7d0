package server

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"miniftp/ftp"
)

// An upload has ended. What the control connection brings in the last moment decides whether it succeeds.
func TestLastMoment(t *testing.T) {
	for _, tc := range []struct {
		name  string
		took  time.Duration
		after time.Duration // after the end of the data
		says  string        // "": the client hangs up
		held  string        // a command received before
		want  error
		waits time.Duration
	}{
		{"a quick upload is not delayed", 49 * time.Millisecond, 0, "-", "", nil, 0},
		{"a long upload waits a hundredth", time.Second, 0, "-", "", nil, 10 * time.Millisecond},
		{"at most hangUpWait", time.Hour, 0, "-", "", nil, hangUpWait},
		{"killed", time.Second, 9 * time.Millisecond, "", "", errHungUp, 9 * time.Millisecond},
		{"killed later", time.Second, 11 * time.Millisecond, "", "", nil, 10 * time.Millisecond},
		{"QUIT, then closed", time.Second, 9 * time.Millisecond, "", "QUIT", nil, 9 * time.Millisecond},
		{"aborted", time.Second, 9 * time.Millisecond, "ABOR\r\n", "", errAborted, 9 * time.Millisecond},
		{"another command", time.Second, 9 * time.Millisecond, "NOOP\r\n", "", nil, 10 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, err := New(Options{Auth: Static{}})
				if err != nil {
					t.Fatal(err)
				}
				ours, theirs := net.Pipe()
				defer ours.Close()
				defer theirs.Close()
				s := newSession(srv, ours, false)
				if tc.held != "" {
					s.held = []ftp.Command{{Verb: tc.held}}
				}
				said := make(chan struct{})
				go func() {
					defer close(said)
					time.Sleep(tc.after) // on the fake clock
					switch tc.says {
					case "":
						_ = theirs.Close()
					case "-":
					default:
						_, _ = io.WriteString(theirs, tc.says)
					}
				}()
				start := time.Now()
				err = s.settle(tc.took)
				waited := time.Since(start)
				<-said
				if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) || waited != tc.waits {
					t.Errorf("%v after %v, want %v after %v", err, waited, tc.want, tc.waits)
				}
			})
		})
	}
}
