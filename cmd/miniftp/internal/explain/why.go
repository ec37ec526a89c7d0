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

// This file puts what went wrong into words, and says what helps.

// dataFailed draws a data connection that did not come about.
func (t *talk) dataFailed(h ftp.DataFailed) {
	if errors.As(h.Err, new(*dtp.GuardError)) && t.address.Verb != "" {
		t.guarded = h.Err // it stands beside the reply that says no
		return
	}
	if no, ok := errors.AsType[*ftp.Error](h.Err); ok && no.Code/10 != 42 {
		return // the server refused the transfer; nothing is wrong with the connection
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

// failure says in a few words how the data connection failed.
func (t *talk) failure(h ftp.DataFailed) string {
	var no *ftp.Error
	switch {
	case errors.As(h.Err, new(*dtp.GuardError)):
		return "not called"
	case errors.As(h.Err, &no) && h.Stance == ftp.Listens:
		return "the server's call did not come"
	case errors.As(h.Err, &no):
		return "no answer"
	case errors.Is(h.Err, context.Canceled):
		return "given up"
	}
	return Reason(h.Err)
}

// advice says who can do what about it.
func (t *talk) advice(h ftp.DataFailed) string {
	var guard *dtp.GuardError
	told, peer := t.offer.Addr.Addr(), t.control.Remote.Addr()
	unreachable := IsPrivate(told) && !IsPrivate(peer)
	switch {
	case errors.Is(h.Err, context.Canceled):
		return ""
	case errors.As(h.Err, &guard):
		return guard.Why
	case t.control.Side == ftp.UserPI && h.Stance == ftp.Listens && unreachable:
		return fmt.Sprintf("the server was told %v, a private address: it can't reach you from outside. Use passive mode.", told)
	case t.control.Side == ftp.UserPI && h.Stance == ftp.Listens:
		return "most likely a firewall or NAT on your side keeps the server's call out. Use passive mode."
	case t.control.Side == ftp.UserPI && errors.Is(h.Err, syscall.ECONNREFUSED):
		return "nobody listens there, or a firewall before the server says no: its admin should open the passive ports."
	case t.control.Side == ftp.UserPI:
		return "most likely a firewall before the server keeps your call out: its admin should open the passive ports."
	case h.Stance == ftp.Listens && unreachable:
		return fmt.Sprintf("the client was told %v, a private address: it can't reach you from outside. Announce the public one (--public-ip).", told)
	case h.Stance == ftp.Listens:
		return "most likely a firewall on your side keeps the client's call out: open the passive ports in it (--passive-ports)."
	}
	return "most likely a firewall or NAT on the client's side keeps your call out: it should use passive mode."
}

// refusedAddress says why a server does not call the address that PORT or EPRT
// told it.
func (t *talk) refusedAddress(addr netip.AddrPort, code ftp.Code) string {
	user, server := t.ends(t.control.Local, t.control.Remote)
	switch us := t.control.Side; {
	case us == ftp.UserPI && (code == 500 || code == 502 || code == 522 || addr.Addr() == user.Addr() && !IsPrivate(user.Addr())):
		return "" // the command is not known there, or the reply says all there is to say
	case us == ftp.UserPI && IsPrivate(addr.Addr()) && !IsPrivate(server.Addr()):
		return fmt.Sprintf("the server was told %v, a private address, and sees you come from another one. Use passive mode.", addr.Addr())
	case us == ftp.UserPI || !errors.As(t.guarded, new(*dtp.GuardError)):
		return ""
	case addr.Addr() == user.Addr():
		return "a server that calls other services on a client's word is a tool for attacks (RFC 2577)."
	case IsPrivate(addr.Addr()) && !IsPrivate(user.Addr()):
		return fmt.Sprintf("%v is a private address, and the client came from %v: it is behind NAT and should use passive mode.", addr.Addr(), user.Addr())
	}
	return "a server that calls a third host on a client's word is a tool for attacks (FTP bounce, RFC 2577)."
}

// stranger draws a call that was not the peer's.
func (t *talk) stranger(h ftp.StrangerRefused) {
	us := t.control.Side
	r, peer := rung{label: "data", left: t.onLeft(t.offer.Addr, "listens")}, "server"
	if us == ftp.ServerPI {
		r, peer = rung{label: "data", right: t.onRight("listens", t.offer.Addr)}, "client"
	}
	r.notes = []string{fmt.Sprintf("%v is not the %s: it was hung up on, and the wait goes on.", h.Remote.Addr(), peer)}
	t.put(t.Pen.failed(r, us, false, "a stranger called"))
}

// once is advice, unless it was just given.
func (t *talk) once(advice string) string {
	if advice == t.advised {
		return ""
	}
	t.advised = advice
	return advice
}

// Reason returns the text of an error without the addresses and system calls in it: they are drawn.
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

// IsPrivate reports whether a can't be reached from another network: RFC 1918,
// RFC 4193, the addresses of carriers' NAT (RFC 6598), of one link or one host.
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
