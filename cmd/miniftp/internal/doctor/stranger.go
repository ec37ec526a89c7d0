package doctor

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// stranger is an error if a greeting is that of another kind of server, whose codes
// are like FTP's.
func stranger(greeting ftp.Reply) error {
	if text := greeting.Text(); strings.Contains(strings.ToUpper(text), "SMTP") {
		return fmt.Errorf("%w: %q is the greeting of a mail server", ftp.ErrSyntax, text)
	}
	return nil
}

// provoked is what is known better about a silent server after a line that nobody asked
// for: HTTP speaks only when it is spoken to.
func (w *wire) provoked(err error) error {
	if !errors.Is(err, client.ErrTimeout) || w.security != nil {
		return err
	}
	_ = w.raw.SetDeadline(time.Now().Add(time.Second))
	if _, e := w.raw.Write([]byte("\r\n\r\n")); e != nil {
		return err
	}
	line, e := w.lines.ReadLine()
	if e != nil || !strings.HasPrefix(string(line), "HTTP/") {
		return err
	}
	return fmt.Errorf("%w: %q is what a web server says", ftp.ErrSyntax, line)
}
