package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
)

// Addresses returns the addresses of a host, which may be an address itself.
func Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// UnknownHost returns the error of a lookup, in plain words if the name has no address.
func UnknownHost(err error) error {
	if name, ok := errors.AsType[*net.DNSError](err); ok && name.IsNotFound {
		return errors.New("there is no host of that name")
	}
	return fmt.Errorf("the name can't be looked up: %w", PlainCause(err))
}

// PlainCause returns what the operating system says, without addresses and calls.
func PlainCause(err error) error {
	if errors.As(err, new(*net.DNSError)) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errHungUp
	}
	for op := new(net.OpError); errors.As(err, &op); {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err
}

// TCPAddr returns the address of a TCP connection's end, the zero value if it has none.
func TCPAddr(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

var errHungUp = errors.New("the server closed it")
