package dtp

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
)

func TestDeflateSends(t *testing.T) {
	each(t, func(t *testing.T, ours, theirs net.Conn, file func([]byte) io.ReadWriteSeeker, size int) {
		if size > 1<<20 {
			return // deflate is slow with the race detector
		}
		data := bytes.Repeat([]byte("compress me "), size/12+1)[:size]
		done := run(context.Background(), ours, Job{Source: file(data), Type: ftp.Image, Mode: ftp.Deflate, Level: size % 10})
		z, err := zlib.NewReader(theirs)
		check(t, err)
		wantBytes(t, z, data)
		_, err = io.Copy(io.Discard, theirs)
		check(t, err)
		if res := <-done; res.Err != nil || res.Bytes != int64(size) || res.Kept != nil {
			t.Errorf("%+v", res)
		}
	})
}

func TestDeflateReceives(t *testing.T) {
	testutil.Long(t)
	each(t, func(t *testing.T, ours, theirs net.Conn, file func([]byte) io.ReadWriteSeeker, size int) {
		if size > 1<<20 {
			return // deflate is slow with the race detector
		}
		data := random(size)
		f := file(nil)
		done := run(context.Background(), ours, Job{Sink: f, Type: ftp.Image, Mode: ftp.Deflate})
		z := zlib.NewWriter(theirs)
		_, err := z.Write(data)
		check(t, err)
		check(t, z.Close())
		check(t, theirs.Close())
		if res := <-done; res.Err != nil || res.Bytes != int64(size) {
			t.Errorf("%+v", res)
		}
		_, err = f.Seek(0, io.SeekStart)
		check(t, err)
		wantBytes(t, f, data)
	})
}

// The output of python3 -c 'import zlib; print(zlib.compress(b"hello\n", 9).hex())'.
const hello = "78dacb48cdc9c9e70200084b021f"

func TestDeflateOfOthers(t *testing.T) {
	good, err := hex.DecodeString(hello)
	check(t, err)
	bomb := func(size int) []byte {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		_, _ = z.Write(make([]byte, size))
		_ = z.Close()
		return b.Bytes()
	}
	bad := bytes.Clone(good)
	bad[len(bad)-1]++
	for _, tt := range []struct {
		name string
		wire []byte
		want int
		err  error
	}{
		{"whole", good, 6, nil},
		{"an empty file of zlib", bomb(0), 0, nil},
		{"nothing at all", nil, 0, nil},
		{"cut short", good[:9], 6, io.ErrUnexpectedEOF},
		{"half a header", good[:1], 0, io.ErrUnexpectedEOF},
		{"no zlib", []byte("hello, this is no zlib"), 0, zlib.ErrHeader},
		{"another sum", bad, 6, zlib.ErrChecksum},
		{"data after the end", append(bytes.Clone(good), 'x'), 6, errAfterEnd},
		{"zeros, not too many", bomb(maxEasy - 1), maxEasy - 1, nil},
		{"zeros beyond measure", bomb(maxEasy + 1<<20), -1, ErrExpands},
	} {
		noLeaks(t)
		ours, theirs := pair(t)
		go func() {
			_, _ = theirs.Write(tt.wire)
			_ = theirs.CloseWrite()
		}()
		res := RunOn(context.Background(), &Conn{Conn: ours}, Job{Sink: io.Discard, Type: ftp.Image, Mode: ftp.Deflate})
		if !errors.Is(res.Err, tt.err) || tt.want >= 0 && res.Bytes > int64(tt.want) || tt.err == nil && res.Bytes != int64(tt.want) {
			t.Errorf("%s: %+v", tt.name, res)
		}
		if tt.name == "zeros beyond measure" && res.Bytes > 2*maxEasy {
			t.Errorf("%s: stopped only after %d bytes", tt.name, res.Bytes)
		}
		var broken *BrokenError
		if tt.err != nil && !errors.As(res.Err, &broken) {
			t.Errorf("%s: %T", tt.name, res.Err)
		}
	}
}

// The line ends of text are converted before it is compressed.
func TestDeflateText(t *testing.T) {
	noLeaks(t)
	ours, theirs := pair(t)
	var got bytes.Buffer
	done := run(context.Background(), ours, Job{Source: bytes.NewReader([]byte("a\nb\n")), Type: ftp.ASCII, Mode: ftp.Deflate})
	res := RunOn(context.Background(), &Conn{Conn: theirs}, Job{Sink: &got, Type: ftp.ASCII, Mode: ftp.Deflate})
	if r := <-done; r.Err != nil || res.Err != nil || got.String() != "a\nb\n" || res.Bytes != 6 {
		t.Errorf("%+v, %+v, %q", r, res, got.String())
	}
}
