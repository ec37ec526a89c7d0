package fxp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Error is what went wrong at one of the two servers of a copy. The cause is an
// *ftp.Error if the server refused something.
type Error struct {
	Source   bool      // at the server that has the file; else at the one that gets it
	Addr     string    // of that server, host and port
	Greeting ftp.Reply // of that server
	Err      error
}

func (e *Error) Error() string {
	which := "destination"
	if e.Source {
		which = "source"
	}
	var no *ftp.Error
	if errors.As(e.Err, &no) && no.Verb != "" && e.Err.Error() == no.Error() {
		return fmt.Sprintf("the %s %s refuses %s: %v", which, e.Addr, no.Verb, no.Reply)
	}
	return fmt.Sprintf("the %s %s: %v", which, e.Addr, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// NoWayError is a copy for which no data connection between the two servers came
// about: they forbid it, or can't reach each other. One Through this program needs none.
type NoWayError struct {
	Tried []*Error // what each way ended with
	Why   error    // there was nothing to try
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

// Causes is Tried without repetitions.
func (e *NoWayError) Causes() []*Error {
	var all []*Error
	seen := map[string]bool{}
	for _, err := range e.Tried {
		var open *client.OpenError
		key := err.Error()
		if errors.As(err, &open) { // the port differs each time
			key = fmt.Sprint(err.Source, open.Err)
		}
		if !seen[key] {
			seen[key] = true
			all = append(all, err)
		}
	}
	return all
}

// Unwrap returns what the ways ended with.
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

// otherwise reports whether another way may end better: this one brought no data
// connection about.
func otherwise(err error) bool {
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

// Why the address that a server listens on is no use to the other one.
var (
	errProxied  = errors.New("behind a proxy nobody knows the address of a server: it would have to be trusted to tell its own")
	errLoopback = errors.New("it is known here by a loopback address, which means another host to the other server")
	errFamilies = errors.New("one server is reached by IPv4 and the other by IPv6: they can't call each other")
)

// HostError is a 227 that names another host than the server's. A server that
// lies there would make the other one call whom it likes (CVE-2026-8328).
type HostError struct{ Named, Server netip.Addr }

func (e *HostError) Error() string {
	return "its answer to PASV names " + e.Named.String() + ", and it is known here as " + e.Server.String()
}
