package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// This file explains failures, and says what to do.

// dataFailed draws a data connection that could not be opened.
func (t *talk) dataFailed(h ftp.DataFailed) {
	if errors.As(h.Err, new(*dtp.GuardError)) && t.address.Verb != "" {
		t.guarded = h.Err // drawn beside the refusal
		return
	}
	if no, ok := errors.AsType[*ftp.Error](h.Err); ok && no.Code/10 != 42 {
		return // the server refused the transfer, so the data connection was not to blame
	}
	us := t.control.Side
	t.failed = true
	r := rung{label: "data", notes: []string{t.once(t.advice(h))}}
	switch {
	case us == ftp.UserPI && h.Stance == ftp.Listens:
		r.left = t.onLeft(h.Addr, "listens")
	case us == ftp.UserPI:
		r.left, r.right = "dials", t.onRight("", h.Addr)
	case h.Stance == ftp.Listens:
		r.right = t.onRight("listens", h.Addr)
	default:
		r.left, r.right = t.onLeft(h.Addr, ""), "dials"
	}
	t.put(t.Pen.failed(r, us, h.Stance == ftp.Dials, t.failure(h)))
	t.drawNext()
}

// failure returns in a few words how the data connection failed.
func (t *talk) failure(h ftp.DataFailed) string {
	var no *ftp.Error
	switch {
	case errors.As(h.Err, new(*dtp.GuardError)):
		return "not dialed"
	case errors.As(h.Err, &no) && h.Stance == ftp.Listens:
		return "the server did not connect"
	case errors.As(h.Err, &no):
		return "no answer"
	case errors.Is(h.Err, context.Canceled):
		return "canceled"
	}
	return Reason(h.Err)
}

// advice returns the likely cause, and who can do what about it.
func (t *talk) advice(h ftp.DataFailed) string {
	var guard *dtp.GuardError
	announced, peer := t.offer.Addr.Addr(), t.control.Remote.Addr()
	unreachable := IsPrivate(announced) && !IsPrivate(peer)
	switch {
	case errors.Is(h.Err, context.Canceled):
		return ""
	case errors.As(h.Err, &guard):
		return guard.Why
	case t.control.Side == ftp.UserPI && h.Stance == ftp.Listens && unreachable:
		return fmt.Sprintf("%v, which you announced, is a private address, which the server can't reach. Use passive mode.", announced)
	case t.control.Side == ftp.UserPI && h.Stance == ftp.Listens:
		return "most likely a firewall or NAT on your side blocks the server's connection. Use passive mode."
	case t.control.Side == ftp.UserPI && errors.Is(h.Err, syscall.ECONNREFUSED):
		return "nothing listens on that port, or a firewall in front of the server refuses: its admin should open the passive ports."
	case t.control.Side == ftp.UserPI:
		return "most likely a firewall in front of the server blocks your connection: its admin should open the passive ports."
	case h.Stance == ftp.Listens && unreachable:
		return fmt.Sprintf("%v, which you announced, is a private address, which the client can't reach. Announce the public one (--public-ip).", announced)
	case h.Stance == ftp.Listens:
		return "most likely a firewall on your side blocks the client's connection: open the passive ports in it (--passive-ports)."
	}
	return "most likely a firewall or NAT on the client's side blocks your connection: it should use passive mode."
}

// refusedAddress returns why a server does not dial the address that PORT or EPRT announces, or "" if the reply
// says enough.
func (t *talk) refusedAddress(addr netip.AddrPort, code ftp.Code) string {
	user, server := t.ends(t.control.Local, t.control.Remote)
	switch us := t.control.Side; {
	case us == ftp.UserPI && (code == 500 || code == 502 || code == 522 || addr.Addr() == user.Addr() && !IsPrivate(user.Addr())):
		return "" // the command is not supported, or the reply says enough
	case us == ftp.UserPI && IsPrivate(addr.Addr()) && !IsPrivate(server.Addr()):
		return fmt.Sprintf("%v, which you announced, is a private address, and the server sees another one. Use passive mode.", addr.Addr())
	case us == ftp.UserPI || !errors.As(t.guarded, new(*dtp.GuardError)):
		return ""
	case addr.Addr() == user.Addr():
		return "a server that dials other services for a client can be used for attacks (RFC 2577)."
	case IsPrivate(addr.Addr()) && !IsPrivate(user.Addr()):
		return fmt.Sprintf("%v is a private address, but the client connected from %v: it is behind NAT and should use passive mode.", addr.Addr(), user.Addr())
	}
	return "a server that dials a third host for a client can be used for attacks (FTP bounce, RFC 2577)."
}

// stranger draws a connection from a host that is not the peer.
func (t *talk) stranger(h ftp.StrangerRefused) {
	us := t.control.Side
	r, peer := rung{label: "data", left: t.onLeft(t.offer.Addr, "listens")}, "server"
	if us == ftp.ServerPI {
		r, peer = rung{label: "data", right: t.onRight("listens", t.offer.Addr)}, "client"
	}
	r.notes = []string{fmt.Sprintf("%v is not the %s: it was disconnected, and the wait continues.", h.Remote.Addr(), peer)}
	t.put(t.Pen.failed(r, us, false, "another host connected"))
}

// once returns advice, or "" if it was just given.
func (t *talk) once(advice string) string {
	if advice == t.advised {
		return ""
	}
	t.advised = advice
	return advice
}

// Reason returns the text of an error without the addresses and system calls in it, which the ladder shows.
func Reason(err error) string {
	if open, ok := errors.AsType[*dtp.OpenError](err); ok {
		err = open.Err
	}
	for op := new(net.OpError); errors.As(err, &op); {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err.Error()
}

// IsPrivate reports whether a can't be reached from other networks: it is private (RFC 1918, RFC 4193), shared
// by customers of a carrier (RFC 6598), link-local or loopback.
func IsPrivate(a netip.Addr) bool {
	carrier := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)
	a = a.Unmap()
	return a.IsValid() && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || carrier.Contains(a))
}

func ifPrivate(a netip.Addr) string {
	if IsPrivate(a) {
		return ", a private address"
	}
	return ""
}
