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

func byteCount(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// isNoRoute reports whether err says that this host has no network of that address family.
func isNoRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func isOutOfTime(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// connectReason returns the text of an error without the address, which the caller has named.
func connectReason(err error) string {
	if connect, ok := errors.AsType[*client.ConnectError](err); ok {
		return connect.Err.Error()
	}
	return err.Error()
}

// replyText returns the reply in an error, or the text of the error if it holds none.
func replyText(err error) string {
	if no, ok := errors.AsType[*ftp.Error](err); ok {
		return no.Reply.String()
	}
	return err.Error()
}

// sentence returns a text from a server or the system as a sentence of at most 120 columns.
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

// lower returns s with its first letter in lower case.
func lower(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(c)) + s[n:]
}
