package dtp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
)

// full returns a file on a disk that is full after 64 KiB, or a device that is always full.
func full(t testing.TB) (kind string, f *os.File) {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err == nil {
		t.Cleanup(func() { check(t, syscall.Unmount(dir, 0)) })
		f, err := os.Create(filepath.Join(dir, "file"))
		check(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return "disk", f
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return "device", f
}

func TestDiskFull(t *testing.T) {
	noLeaks(t)
	device, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	check(t, err)
	defer device.Close()
	for _, typ := range []ftp.Type{ftp.Image, ftp.ASCII} {
		for _, wrapped := range []bool{false, true} {
			kind, disk := full(t)
			for kind, f := range map[string]*os.File{kind: disk, "/dev/full": device} {
				ours, theirs := pair(t)
				job := Job{Sink: f, Type: typ}
				if wrapped {
					job.Sink = struct{ io.Writer }{f}
				}
				done := run(context.Background(), ours, job)
				sent := make(chan struct{})
				go func() { defer close(sent); _, _ = theirs.Write(make([]byte, 1<<20)); _ = theirs.Close() }()
				isLocal(t, fmt.Sprintf("%s, %v, wrapped %v", kind, typ, wrapped), (<-done).Err, syscall.ENOSPC)
				<-sent
			}
		}
	}
}

// filled returns an os.Pipe from which data can be read.
func filled(t testing.TB, data []byte) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	check(t, err)
	written := make(chan struct{})
	go func() { defer close(written); _, _ = w.Write(data); _ = w.Close() }()
	t.Cleanup(func() { _ = r.Close(); <-written })
	return r
}

// In the kernel's copy, too, a slow peer is not mistaken for one that has stalled, and no byte is
// lost where a deadline cuts a chunk. The peer reads only when the pump reports progress, which is
// before the pump sets the next deadline.
func TestSlowTCPIsNotStill(t *testing.T) {
	testutil.Long(t)
	data := random(100_000)
	for name, source := range map[string]func(testing.TB, []byte) *os.File{"file": tempFile, "system pipe": filled} {
		m, _ := manage(t, &Config{Side: ftp.ServerPI})
		o, addr := listening(t, m)
		peer := narrowCall(t, addr)
		ours := open(t, o)
		check(t, ours.Conn.(*net.TCPConn).SetWriteBuffer(4096))
		var got []byte
		cuts := 0
		progress := func(n int64) {
			b := make([]byte, n-int64(len(got)))
			if len(b)%minChunk > 0 {
				cuts++
			}
			if _, err := io.ReadFull(peer, b); err != nil {
				t.Error(err)
			}
			got = append(got, b...)
		}
		res := RunOn(context.Background(), ours, Job{Source: source(t, data), Type: ftp.Image, Stall: 100 * time.Millisecond, Progress: progress})
		if res.Err != nil || res.Bytes != int64(len(data)) || !bytes.Equal(got, data) {
			t.Errorf("%s: %+v, the same bytes: %v", name, res, bytes.Equal(got, data))
		}
		if cuts < 2 {
			t.Errorf("%s: %d chunks were cut: the test shows nothing", name, cuts)
		}
		wantBytes(t, peer, nil)
	}
}

// The other direction: a byte is sent when the progress for the last one was reported.
func TestTrickleIntoFile(t *testing.T) {
	noLeaks(t)
	f := tempFile(t, nil)
	ours, theirs := pair(t)
	_, err := theirs.Write([]byte("0"))
	check(t, err)
	progress := func(n int64) {
		if n == 4 {
			_ = theirs.Close()
			return
		}
		_, _ = theirs.Write([]byte(fmt.Sprint(n)))
	}
	res := RunOn(context.Background(), &Conn{Conn: ours}, Job{Sink: f, Type: ftp.Image, Stall: 50 * time.Millisecond, Progress: progress})
	if res.Err != nil || res.Bytes != 4 {
		t.Errorf("%+v", res)
	}
	_, err = f.Seek(0, io.SeekStart)
	check(t, err)
	wantBytes(t, f, []byte("0123"))
}

// A peer that has stalled is noticed, and the bytes that moved are counted.
func TestStillTCP(t *testing.T) {
	noLeaks(t)
	f := tempFile(t, nil)
	ours, theirs := pair(t)
	_, err := theirs.Write([]byte("some"))
	check(t, err)
	res := RunOn(context.Background(), &Conn{Conn: ours}, Job{Sink: f, Type: ftp.Image, Stall: 20 * time.Millisecond})
	if !errors.Is(res.Err, ErrStalled) || res.Bytes != 4 {
		t.Errorf("%+v", res)
	}
	hungUp(t, theirs)
	ours, theirs = pair(t)
	res = RunOn(context.Background(), &Conn{Conn: ours}, Job{Source: tempFile(t, random(32<<20)), Type: ftp.Image, Stall: 20 * time.Millisecond})
	if !errors.Is(res.Err, ErrStalled) || res.Bytes == 0 || res.Bytes >= 32<<20 {
		t.Errorf("%+v", res)
	}
	check(t, theirs.Close())
}

// Cancel ends a wait inside the kernel's copy, and between two copies.
func TestCancelTCP(t *testing.T) {
	noLeaks(t)
	for name, job := range map[string]Job{
		"receiving": {Sink: tempFile(t, nil)},
		"sending":   {Source: tempFile(t, random(32<<20))},
	} {
		ours, theirs := pair(t)
		ctx, cancel := cancelled(false)
		job.Type, job.Stall = ftp.Image, time.Hour
		job.Progress = func(int64) { cancel() }
		if job.Sink != nil {
			_, err := theirs.Write([]byte("x"))
			check(t, err)
			job.Progress = nil
			go func() { waitForSize(job.Sink.(*os.File), 1); cancel() }()
		}
		done := run(ctx, ours, job)
		if res := within(t, func() Result { return <-done }); !errors.Is(res.Err, errEnough) || res.Bytes == 0 {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

// waitForSize waits until a file has grown to that size.
func waitForSize(f *os.File, size int64) {
	for {
		if fi, err := f.Stat(); err != nil || fi.Size() >= size {
			return
		}
		runtime.Gosched()
	}
}
