package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

func count(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// isNoRoute: it is this host that has no such network.
func isNoRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func isOutOfTime(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// connectReason is an error without the address, which is named already.
func connectReason(err error) string {
	if connect, ok := errors.AsType[*client.ConnectError](err); ok {
		return connect.Err.Error()
	}
	return err.Error()
}

// replyText is the reply in an error.
func replyText(err error) string {
	if no, ok := errors.AsType[*ftp.Error](err); ok {
		return no.Reply.String()
	}
	return err.Error()
}

// sentence makes what a server or the system says one, of bounded length.
func sentence(s string) string {
	s = strings.TrimSpace(ftp.Printable(s))
	if term.Cells(s) > 120 {
		s = term.Truncate(s, 120, "...")
	}
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

// lower lets a sentence go on behind a colon.
func lower(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(c)) + s[n:]
}
