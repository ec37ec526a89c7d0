package dtp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"miniftp/ftp"
	"miniftp/ftp/internal/testutil"
)

// block returns a block in the format of RFC 959 §3.4.2.
func block(descriptor byte, content string) string {
	head := []byte{descriptor, 0, 0}
	binary.BigEndian.PutUint16(head[1:], uint16(len(content)))
	return string(head) + content
}

// unblock reads a file and its restart markers from the wire, without the code under test.
func unblock(t testing.TB, r io.Reader) (content []byte, markers []string) {
	t.Helper()
	for {
		var head [3]byte
		_, err := io.ReadFull(r, head[:])
		check(t, err)
		body := make([]byte, binary.BigEndian.Uint16(head[1:]))
		_, err = io.ReadFull(r, body)
		check(t, err)
		if head[0]&16 != 0 {
			markers = append(markers, string(body))
		} else {
			content = append(content, body...)
		}
		if head[0]&64 != 0 {
			return content, markers
		}
	}
}

func TestBlocksSendFilesOverOneConnection(t *testing.T) {
	testutil.Long(t)
	for wire, connect := range wires {
		for kind, file := range storage {
			noLeaks(t)
			ours, theirs := connect(t)
			conn := &Conn{Conn: ours}
			for _, size := range sizes {
				for _, known := range []int64{0, int64(size)} {
					data := random(size)
					done := make(chan Result, 1)
					go func() {
						done <- RunOn(context.Background(), conn, Job{Source: file(t, data), Type: ftp.Image, Mode: ftp.Block, Size: known})
					}()
					got, _ := unblock(t, theirs)
					res := <-done
					if res.Err != nil || res.Bytes != int64(size) || res.Kept != conn || !bytes.Equal(got, data) {
						t.Fatalf("%s, %s, %d bytes: %+v, received %d", wire, kind, size, res, len(got))
					}
				}
			}
			check(t, conn.Close())
		}
	}
}

// A sender may send the next files early. Their bytes are not lost.
func TestBlocksReceiveFilesOverOneConnection(t *testing.T) {
	noLeaks(t)
	ours, theirs := pair(t)
	conn := &Conn{Conn: ours}
	big := string(random(blockMost))
	files := []struct{ wire, want string }{
		{block(64, ""), ""},
		{block(64, "one"), "one"},
		{block(0, "a") + block(0, "") + block(0, "b") + block(64, "c"), "abc"},
		{block(0, "x") + block(16, "1") + block(64, "y"), "xy"},
		{block(128, "record") + block(64+128, " two"), "record two"},
		{block(0, big) + block(0, big) + block(64, ""), big + big},
	}
	go func() {
		for _, f := range files {
			_, _ = io.WriteString(theirs, f.wire)
		}
	}()
	for i, f := range files {
		var got bytes.Buffer
		res := RunOn(context.Background(), conn, Job{Sink: &got, Type: ftp.Image, Mode: ftp.Block})
		if res.Err != nil || res.Kept == nil || got.String() != f.want || res.Bytes != int64(len(f.want)) {
			t.Fatalf("file %d: %+v, %d bytes, want %d", i, res, got.Len(), len(f.want))
		}
	}
	if conn.ahead.buf != nil {
		t.Error("the buffer was not released")
	}
	check(t, conn.Close())
}

func TestMalformedBlocks(t *testing.T) {
	for name, wire := range map[string]string{
		"nothing":        "",
		"half a header":  "\x40\x00",
		"half a block":   block(64, "whole")[:5],
		"no end":         block(0, "whole"),
		"a damaged part": block(32, "bad") + block(64, ""),
		"a long marker":  block(16, strings.Repeat("9", 65)) + block(64, ""),
		"half a marker":  block(16, "123")[:4],
	} {
		noLeaks(t)
		ours, theirs := pair(t)
		_, err := io.WriteString(theirs, wire)
		check(t, err)
		check(t, theirs.CloseWrite())
		var got bytes.Buffer
		res := RunOn(context.Background(), &Conn{Conn: ours}, Job{Sink: &got, Type: ftp.Image, Mode: ftp.Block})
		var broken *BrokenError
		if !errors.As(res.Err, &broken) || res.Kept != nil {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

// A restart marker is the position in the file, for the sender and the receiver.
func TestRestartMarkers(t *testing.T) {
	noLeaks(t)
	ours, theirs := pair(t)
	data := random(3*markEvery + 5)
	done := run(context.Background(), ours, Job{
		Source: bytes.NewReader(data), Type: ftp.Image, Mode: ftp.Block, Marks: true, Offset: 100,
	})
	var at []string
	var got bytes.Buffer
	count := func(m string) {
		n, err := strconv.Atoi(m)
		if err != nil || got.Len()+100 != n {
			t.Errorf("marker %q after %d bytes", m, got.Len())
		}
		at = append(at, m)
	}
	res := RunOn(context.Background(), &Conn{Conn: theirs}, Job{Sink: &got, Type: ftp.Image, Mode: ftp.Block, Marker: count})
	if res.Err != nil || !bytes.Equal(got.Bytes(), data) {
		t.Errorf("%+v, %d bytes", res, got.Len())
	}
	if r := <-done; r.Err != nil {
		t.Error(r.Err)
	}
	if len(at) != 3 || !slices.IsSortedFunc(at, func(a, b string) int { return len(a) - len(b) }) {
		t.Errorf("markers %q", at)
	}
}

// A Manager keeps the data connection for the next Take. It closes it when there is a new
// offer, when the protection or the guard changes, and in Close.
func TestManagerKeeps(t *testing.T) {
	ends := map[string]func(m *Manager){
		"a new offer": func(m *Manager) { _, _ = m.Listen() },
		"PROT":        func(m *Manager) { m.Protect(new(Security)) },
		"the guard":   func(m *Manager) { m.Admit(Guard{}) },
		"Keep(nil)":   func(m *Manager) { m.Keep(nil) },
		"Close":       (*Manager).Close,
	}
	for name, end := range ends {
		m, _ := manage(t, &Config{Side: ftp.ServerPI})
		o, addr := listening(t, m)
		peer := call(t, home, addr)
		for i := range 3 {
			res := Run(context.Background(), o, Job{Source: strings.NewReader("file"), Type: ftp.Image, Mode: ftp.Block})
			check(t, res.Err)
			if got, _ := unblock(t, peer); string(got) != "file" {
				t.Errorf("%q", got)
			}
			m.Keep(res.Kept)
			if !m.HasOpen() {
				t.Fatal("the data connection was not kept")
			}
			if i < 2 {
				var err error
				if o, err = m.Take(); err != nil || !o.IsOpen() {
					t.Fatal(err)
				}
			}
		}
		end(m)
		if m.HasOpen() {
			t.Errorf("%s: the data connection was kept", name)
		}
		hungUp(t, peer)
		m.Close()
	}
}

// If a Job's context ends just after its file has ended, this does not affect the next Job.
func TestBlocksCancel(t *testing.T) {
	noLeaks(t)
	ours, theirs := pair(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	done := run(ctx, ours, Job{Sink: io.Discard, Type: ftp.Image, Mode: ftp.Block})
	_, err := io.WriteString(theirs, block(0, "part"))
	check(t, err)
	cancel(why)
	if res := <-done; !errors.Is(res.Err, why) || res.Kept != nil {
		t.Errorf("%+v", res)
	}
	hungUp(t, theirs)
}

func FuzzBlocks(f *testing.F) {
	f.Add([]byte(block(64, "one")+block(0, "two")), []byte{1, 2, 3})
	f.Add([]byte(block(16, "12")+block(32, "x")+block(64, "")), []byte{7})
	f.Fuzz(func(t *testing.T, wire, cuts []byte) {
		a, b := net.Pipe()
		go func() {
			defer b.Close()
			for i := 0; len(wire) > 0; i++ {
				n := len(wire)
				if len(cuts) > 0 {
					n = min(n, int(cuts[i%len(cuts)])+1)
				}
				if _, err := b.Write(wire[:n]); err != nil {
					return
				}
				wire = wire[n:]
			}
		}()
		total := len(wire)
		conn := &Conn{Conn: a}
		for range 100 {
			var got bytes.Buffer
			res := RunOn(context.Background(), conn, Job{Sink: &got, Type: ftp.Image, Mode: ftp.Block})
			if got.Len() > total || res.Bytes != int64(got.Len()) {
				t.Errorf("%d bytes of %d, %+v", got.Len(), total, res)
			}
			if res.Err != nil {
				break
			}
		}
		_ = a.Close()
	})
}
