package connect

import (
	"bytes"
	"errors"
	"io"

	"miniftp/ftp/client"
)

// keptTail is how many of the last bytes are kept. When a broken transfer is resumed, the server must send
// them again, which shows that it has not ignored the offset.
const keptTail = 4096

// CopyOut writes a remote file to w, such as standard output. If the connection breaks, it resumes where it
// stopped, but not for text (TYPE A): offsets differ on the two sides.
func (k *Link) CopyOut(path string, ascii bool, w io.Writer, progress func(done, total int64)) (client.Result, error) {
	if ascii {
		retries := k.Retries
		k.Retries = 0
		defer func() { k.Retries = retries }()
	}
	out := &sink{w: w}
	var last client.Result
	err := k.Do(func(cl *client.Client) (err error) {
		t := client.Transfer{Path: path, Offset: out.resumeOffset(), ASCII: ascii, Progress: progress}
		last, err = cl.RetrieveWith(k.Ctx, t, out)
		if errors.Is(err, errOtherBytes) || err == nil && len(out.due) > 0 {
			return &client.ResumeError{Path: path, Offset: out.n, Why: errOtherBytes.Error()}
		}
		return err
	})
	last.Bytes = out.n
	return last, err
}

var errOtherBytes = errors.New("the server now sends other bytes than before")

// sink writes to w and keeps the last bytes. After a resume it first compares what arrives with them.
type sink struct {
	w    io.Writer
	n    int64  // bytes written to w
	tail []byte // the last of them, at most keptTail
	due  []byte // bytes that must arrive first, and are not written again
}

// resumeOffset returns the offset at which to resume, which is that of the tail, and makes Write expect the tail
// again.
func (s *sink) resumeOffset() int64 {
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

// keep appends p to the tail.
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
