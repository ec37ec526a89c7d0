package fxp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Error is returned when one of the two servers of a copy failed. It wraps an *ftp.Error if the server refused
// a command.
type Error struct {
	Source   bool      // the source failed, else the destination
	Addr     string    // host and port of that server
	Greeting ftp.Reply // greeting of that server
	Err      error
}

func (e *Error) Error() string {
	which := "destination"
	if e.Source {
		which = "source"
	}
	var no *ftp.Error
	if errors.As(e.Err, &no) && no.Verb != "" && e.Err.Error() == no.Error() {
		return fmt.Sprintf("the %s %s refused %s: %v", which, e.Addr, no.Verb, no.Reply)
	}
	return fmt.Sprintf("the %s %s: %v", which, e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// NoWayError is returned when no data connection between the two servers could be opened: they forbid it, or
// can't reach each other. A copy with Plan.Through needs none.
type NoWayError struct {
	Tried []*Error // the error of each way
	Why   error    // why there was no way to try; nil: Tried
}

func (e *NoWayError) Error() string {
	const no = "the servers can't send files to each other"
	if e.Why != nil {
		return no + ": " + e.Why.Error()
	}
	var all []string
	for _, err := range e.Causes() {
		all = append(all, err.Error())
	}
	return no + ": " + strings.Join(all, "; ")
}

// Causes returns Tried without repetitions.
func (e *NoWayError) Causes() []*Error {
	var all []*Error
	seen := map[string]bool{}
	for _, err := range e.Tried {
		var open *client.OpenError
		key := err.Error()
		if errors.As(err, &open) { // ignore the port, which differs each time
			key = fmt.Sprint(err.Source, open.Err)
		}
		if !seen[key] {
			seen[key] = true
			all = append(all, err)
		}
	}
	return all
}

// Unwrap returns the errors of all ways.
func (e *NoWayError) Unwrap() []error {
	if e.Why != nil {
		return []error{e.Why}
	}
	all := make([]error, 0, len(e.Tried))
	for _, err := range e.Tried {
		all = append(all, err)
	}
	return all
}

// mayTryNext reports whether another way may succeed, because this one led to no data connection.
func mayTryNext(err error) bool {
	var one *Error
	var host *HostError
	var open *client.OpenError
	var dead *client.DeadError
	var no *ftp.Error
	switch {
	case !errors.As(err, &one), errors.As(err, &dead):
		return false
	case errors.As(err, &host), errors.As(err, &open),
		errors.Is(err, errLoopback), errors.Is(err, errFamilies), errors.Is(err, errProxied):
		return true
	case !errors.As(err, &no):
		return false
	}
	switch no.Verb {
	case "EPSV", "PASV", "CPSV", "SSCN", "PORT", "EPRT":
		return true
	case "RETR", "STOR":
		switch no.Code {
		case 425, 426, 431, 434, 435, 521, 522, 534, 535:
			return true
		}
	}
	return false
}

// Reasons why the address of a server that listens is of no use to the other.
var (
	errProxied  = errors.New("its address is not known because it is reached through a proxy; it would have to be trusted to report its own")
	errLoopback = errors.New("it is reached by a loopback address, which means another host to the other server")
	errFamilies = errors.New("one server is reached by IPv4 and the other by IPv6, so they can't connect to each other")
)

// HostError is returned for a 227 reply that names another host than the server's. A malicious server could use
// this to make the other server connect anywhere (CVE-2026-8328).
type HostError struct{ Named, Server netip.Addr }

func (e *HostError) Error() string {
	return "its reply to PASV names the host " + e.Named.String() + ", but its own address is " + e.Server.String()
}
