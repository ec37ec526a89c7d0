package gate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/ftp/server"
)

// clamd asks the daemon of ClamAV, with its command INSTREAM: the content follows in chunks, each after its length, and
// the last one is empty. Commands and answers end with NUL.
type clamd struct{ network, addr string }

const clamdChunk = 64 << 10

func newClamd(addr string) (checker, error) {
	if filepath.IsAbs(addr) {
		return &clamd{"unix", addr}, nil
	}
	if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
		return nil, errors.New("write clamd:/PATH/OF/SOCKET or clamd:HOST:PORT")
	}
	return &clamd{"tcp", addr}, nil
}

func (c *clamd) String() string { return "clamd:" + c.addr }

func (c *clamd) check(ctx context.Context, u *server.GateUpload) error {
	conn, err := new(net.Dialer).DialContext(ctx, c.network, c.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	sendErr := sendStream(conn, content(u))
	if local, ok := errors.AsType[*readError](sendErr); ok {
		return local
	}
	// After a failed write there may be an answer that says why: clamd closes the connection at its size limit.
	answer, err := io.ReadAll(io.LimitReader(conn, maxOutput))
	if len(answer) == 0 {
		switch {
		case sendErr != nil:
			return fmt.Errorf("clamd closed the connection: StreamMaxLength in clamd.conf may be too small: %w", sendErr)
		case err != nil:
			return err
		}
		return errors.New("clamd closed the connection without an answer")
	}
	return clamdVerdict(answer)
}

// clamdVerdict returns what the answer of clamd means.
func clamdVerdict(answer []byte) error {
	text, _, whole := bytes.Cut(answer, []byte{0})
	said := string(text)
	name, isStream := strings.CutPrefix(said, "stream: ")
	found, isFound := strings.CutSuffix(name, " FOUND")
	switch {
	case whole && said == "stream: OK":
		return nil
	case whole && isStream && isFound && found != "":
		return refuse("refused by the virus check: %s", found)
	case strings.Contains(said, "size limit exceeded"):
		return fmt.Errorf("the file is larger than StreamMaxLength in clamd.conf: clamd says %q", callout.FirstLine(said))
	}
	return fmt.Errorf("clamd says %q", callout.FirstLine(said))
}

// readError is an error of the content, not of the checker.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }

func sendStream(conn io.Writer, r io.Reader) error {
	if _, err := io.WriteString(conn, "zINSTREAM\x00"); err != nil {
		return err
	}
	buf := make([]byte, 4+clamdChunk)
	for {
		n, err := io.ReadFull(r, buf[4:])
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return &readError{err}
		}
		if n > 0 {
			binary.BigEndian.PutUint32(buf, uint32(n))
			if _, err := conn.Write(buf[:4+n]); err != nil {
				return err
			}
		}
		if end {
			_, err := conn.Write([]byte{0, 0, 0, 0})
			return err
		}
	}
}
