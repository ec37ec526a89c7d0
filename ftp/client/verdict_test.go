package client

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// TestVerdicts tests every row of the table. If a row is in the wrong place, another row decides a case.
func TestVerdicts(t *testing.T) {
	errOther := errors.New("other")
	local, open, broken := &LocalError{Err: errOther}, &dtp.OpenError{Err: errOther}, &dtp.BrokenError{Err: io.EOF}
	done, no := ftp.Reply{Code: 226}, ftp.Reply{Code: 550}
	refused := refusal("RETR", no)
	now := version{size: 10, modified: time.Unix(100, 0)}
	later := version{size: 10, modified: time.Unix(200, 0)}
	whole := outcome{verb: "RETR", begun: true, final: done, want: 10, got: 10}
	with := func(f func(o *outcome)) outcome {
		o := whole
		f(&o)
		return o
	}
	drove := map[string]bool{}
	for _, tt := range []struct {
		row  string
		o    outcome
		want string // of the error; "": the transfer is complete
	}{
		{"the transfer is complete", whole, ""},
		{"the transfer is complete", outcome{}, ""},
		{"the transfer is complete", with(func(o *outcome) { o.want = -1 }), ""},
		{"the transfer is complete", with(func(o *outcome) { o.begun, o.want, o.got = false, 0, 0 }), ""},
		{"the transfer is complete", with(func(o *outcome) { o.got = 11 }), ""},
		{"the transfer is complete", with(func(o *outcome) { o.final, o.refusal, o.echo = no, refused, true }), ""},
		{"the transfer is complete", with(func(o *outcome) { o.cutShort = true }), ""},
		{"the transfer is complete", with(func(o *outcome) { o.sent, o.there, o.before, o.after = 10, 10, now, now }), ""},
		{"it was cancelled", with(func(o *outcome) { o.cancelled, o.data, o.refusal, o.lost = errOther, local, refused, io.EOF }), "other"},
		{"the local side failed or rejected the bytes", with(func(o *outcome) { o.data, o.refusal, o.final = local, refused, no }), local.Error()},
		{"the local side failed or rejected the bytes", with(func(o *outcome) { o.data, o.refusal = dtp.ErrExpands, refused }), dtp.ErrExpands.Error()},
		{"the server refused it", with(func(o *outcome) { o.data, o.refusal, o.stopped = broken, refused, refused }), refused.Error()},
		{"the file has grown, and all announced bytes arrived", with(func(o *outcome) { o.data, o.lost = dtp.ErrMore, io.EOF }), ""},
		{"the file has grown, and all announced bytes arrived", with(func(o *outcome) { o.data, o.final, o.refusal, o.echo = dtp.ErrMore, no, refused, true }), ""},
		{"everything arrived except the end of the data connection", with(func(o *outcome) { o.data, o.stopped = errAllCame, errAllCame }), ""},
		{"the transfer's own check failed", with(func(o *outcome) { o.data, o.lost = errOther, io.EOF }), "other"},
		{"the control connection failed before the transfer began", with(func(o *outcome) { o.lost, o.begun, o.got, o.data = io.EOF, false, 0, broken }), "EOF"},
		{"the control connection failed during the transfer", with(func(o *outcome) { o.lost, o.got = io.EOF, 5 }), "cut short: 5 of 10 bytes: EOF"},
		{"the control connection failed during the transfer", with(func(o *outcome) { o.lost, o.data = io.EOF, broken }), "cut short: 10 of 10 bytes: EOF"},
		{"the control connection failed during the transfer", with(func(o *outcome) { o.lost, o.stopped, o.data = io.EOF, errOther, errOther }), "cut short: 10 of 10 bytes: EOF"},
		{"the control connection failed after all bytes", with(func(o *outcome) { o.lost = io.EOF }), fmt.Sprintf("%v: EOF", ErrUnconfirmed)},
		{"no data connection was opened", with(func(o *outcome) { o.data, o.got = open, 0 }), open.Error()},
		{"this side closed the data connection", with(func(o *outcome) { o.data, o.stopped, o.got = open, errEarly, 5 }), "cut short: 5 of 10 bytes: " + errEarly.Error()},
		{"the data connection failed", with(func(o *outcome) { o.data, o.want, o.got = broken, -1, 5 }), "cut short after 5 bytes: " + broken.Error()},
		{"the data connection failed", with(func(o *outcome) { o.data = dtp.ErrStalled }), "cut short: 10 of 10 bytes: " + dtp.ErrStalled.Error()},
		{"the data ended too early, whatever the server reports", with(func(o *outcome) { o.got = 5 }), "cut short: 5 of 10 bytes, though the server says 226"},
		{"more bytes arrived than the file has", with(func(o *outcome) { o.got, o.exact = 11, true }), "cut short: 11 of 10 bytes, though the server says 226"},
		{"the size is unknown and TLS ended without close_notify", with(func(o *outcome) { o.want, o.cutShort = -1, true }), "cut short after 10 bytes: " + errNoEnd.Error()},
		{"the server sent neither a 150 nor a byte", with(func(o *outcome) { o.want, o.got, o.begun = -1, 0, false }), "cut short after 0 bytes, though the server says 226"},
		{"the destination has another size", with(func(o *outcome) { o.sent, o.there = 10, 7 }), "cut short: 7 of 10 bytes, though the server says 226"},
		{"the destination has another size", outcome{there: 7}, "cut short: 7 of 0 bytes"},
		{"the file has changed meanwhile", with(func(o *outcome) { o.before, o.after = now, later }), "cut short: 0 of 10 bytes: " + errChanged.Error()},
	} {
		row := ""
		for _, v := range verdicts {
			if v.holds(&tt.o) {
				row = v.name
				break
			}
		}
		got := ""
		if err := tt.o.verdict(); err != nil {
			got = err.Error()
		}
		if drove[row] = true; row != tt.row || got != tt.want {
			t.Errorf("%+v\n%q: %q, want %q: %q", tt.o, row, got, tt.row, tt.want)
		}
	}
	for _, v := range verdicts {
		if !drove[v.name] {
			t.Errorf("no test case for row %q", v.name)
		}
	}
}
