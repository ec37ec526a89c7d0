package connect

import (
	"bytes"
	"errors"
	"io"

	"miniftp/ftp/client"
)

// keptTail is how many bytes are kept of what was written, to compare them when
// a broken transfer goes on: a server may ignore where it was told to begin.
const keptTail = 4096

// CopyOut sends a remote file to w, which takes no byte back. After a break it
// goes on where it stopped; text can't, as its bytes differ at both ends.
func (k *Link) CopyOut(path string, ascii bool, w io.Writer, progress func(done, total int64)) (client.Result, error) {
	if ascii {
		retries := k.Retries
		k.Retries = 0
		defer func() { k.Retries = retries }()
	}
	out := &sink{w: w}
	var last client.Result
	err := k.Do(func(cl *client.Client) (err error) {
		t := client.Transfer{Path: path, Offset: out.goOn(), ASCII: ascii, Progress: progress}
		last, err = cl.RetrieveWith(k.Ctx, t, out)
		if errors.Is(err, errOtherBytes) || err == nil && len(out.due) > 0 {
			return &client.ResumeError{Path: path, Offset: out.n, Why: errOtherBytes.Error()}
		}
		return err
	})
	last.Bytes = out.n
	return last, err
}

var errOtherBytes = errors.New("what the server sends now is not what came before")

// sink passes bytes on and remembers the last ones.
type sink struct {
	w    io.Writer
	n    int64  // bytes passed on
	tail []byte // the last of them
	due  []byte // what has to come first, and is not passed on again
}

// goOn is the offset to go on from: that of the tail, which comes again.
func (s *sink) goOn() int64 {
	s.due = bytes.Clone(s.tail)
	return s.n - int64(len(s.tail))
}

func (s *sink) Write(p []byte) (int, error) {
	again := min(len(p), len(s.due))
	if !bytes.Equal(p[:again], s.due[:again]) {
		return 0, errOtherBytes
	}
	s.due = s.due[again:]
	n, err := s.w.Write(p[again:])
	s.n += int64(n)
	s.keep(p[again : again+n])
	return again + n, err
}

func (s *sink) keep(p []byte) {
	if len(p) >= keptTail {
		s.tail = append(s.tail[:0], p[len(p)-keptTail:]...)
		return
	}
	s.tail = append(s.tail, p...)
	if len(s.tail) > keptTail {
		s.tail = append(s.tail[:0], s.tail[len(s.tail)-keptTail:]...)
	}
}
