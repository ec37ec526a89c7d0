package dtp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"miniftp/ftp"
)

// called calls CallNow for the job with the address of a listener, and returns the peer's end.
func called(t *testing.T, job Job) (*Started, *net.TCPConn) {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: home.AsSlice()})
	check(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	m, _ := manage(t, &Config{Side: ftp.UserPI})
	check(t, m.Dial(AddrPort(ln.Addr())))
	o, err := m.Take()
	check(t, err)
	job.Type, job.Reset = ftp.Image, true
	tr := o.CallNow(job)
	if tr == nil {
		t.Fatal("CallNow did not dial, although the peer is near")
	}
	c, err := ln.AcceptTCP()
	check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return tr, c
}

func TestCallNowFetches(t *testing.T) {
	noLeaks(t)
	data := random(4096)
	for _, tt := range []struct {
		name        string
		size        int64
		first, rest []byte // sent before Fetch, and after it has stopped waiting
		reset       bool
		err         error
		bytes       int64
	}{
		{name: "whole", size: 4096, first: data, bytes: 4096},
		{name: "short", size: 4097, first: data, bytes: 4096},
		{name: "more", size: 4095, first: data, err: ErrMore, bytes: 4095},
		{name: "empty", size: 0},
		{name: "late", size: 4096, first: data[:100], rest: data[100:], bytes: 4096},
		{name: "reset", size: 4096, first: data[:100], reset: true, bytes: 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sink := tempFile(t, nil)
			tr, c := called(t, Job{Sink: sink, Bounded: true, Size: tt.size})
			_, err := c.Write(tt.first)
			check(t, err)
			if !tt.reset && tt.rest == nil {
				check(t, c.Close())
			}
			res, over := tr.Fetch()
			if over != (!tt.reset && tt.rest == nil) {
				t.Fatalf("over: %v", over)
			}
			if tt.reset {
				_ = c.SetLinger(0)
				check(t, c.Close())
			} else if !over {
				_, err = c.Write(tt.rest)
				check(t, errors.Join(err, c.Close()))
			}
			if !over {
				res = tr.Rest(context.Background())
			}
			var broken *BrokenError
			if res.Bytes != tt.bytes || !res.Opened || !tt.reset && !errors.Is(res.Err, tt.err) || errors.As(res.Err, &broken) != tt.reset {
				t.Errorf("%+v", res)
			}
			got, err := os.ReadFile(sink.Name())
			if err != nil || string(got) != string(data[:tt.bytes]) {
				t.Errorf("%d bytes in the file, %v", len(got), err)
			}
		})
	}
}

func TestCallNowSends(t *testing.T) {
	noLeaks(t)
	data := random(minChunk)
	tr, c := called(t, Job{Source: tempFile(t, data), Size: minChunk})
	res, over := tr.Send()
	if !over { // what does not fit
		result := make(chan Result)
		go func() { result <- tr.Rest(context.Background()) }()
		wantBytes(t, c, data)
		res = <-result
	} else {
		wantBytes(t, c, data)
	}
	if res.Err != nil || res.Bytes != minChunk {
		t.Errorf("%+v", res)
	}
}

// An upload that was dropped, or cancelled before its end, must not look complete.
func TestCallNowResets(t *testing.T) {
	noLeaks(t)
	why := errors.New("refused")
	for _, rest := range []bool{false, true} {
		tr, c := called(t, Job{Source: tempFile(t, random(10)), Size: 10})
		var res Result
		if rest {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(why)
			res = tr.Rest(ctx)
		} else {
			res = tr.Drop(why)
		}
		if !errors.Is(res.Err, why) {
			t.Errorf("%+v", res)
		}
		if _, err := io.ReadAll(c); err == nil {
			t.Error("the connection ended without a reset")
		}
	}
}

// CallNow dials only without TLS, and for a small file of known size.
func TestCallNowLeaves(t *testing.T) {
	file := tempFile(t, random(10))
	for name, job := range map[string]Job{
		"large":      {Source: file, Size: minChunk + 1},
		"unknown":    {Source: file},
		"unbounded":  {Sink: file, Size: 10},
		"no file":    {Sink: io.Discard, Size: 10, Bounded: true},
		"ASCII":      {Source: file, Size: 10, Type: ftp.ASCII},
		"block mode": {Source: file, Size: 10, Mode: ftp.Block},
	} {
		o := &Opener{m: &Manager{cfg: &Config{Side: ftp.UserPI}}, stance: ftp.Dials}
		if o.CallNow(job) != nil {
			t.Errorf("%s: dialed", name)
		}
	}
}
