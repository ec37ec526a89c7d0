package serve

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"miniftp/cmd/miniftp/internal/systemd"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// tlsSocket is the name of the sockets of systemd that are for implicit TLS (FileDescriptorName=).
const tlsSocket = "ftps"

// adopt takes over the sockets of systemd, if there are any, and sets o.Listen and o.ListenTLS to their addresses. If the
// settings listen and listen-tls are given, they must name the same addresses.
func (cf *config) adopt(o *server.Options) (plain, tlsFirst []net.Listener, err error) {
	sockets, err := systemd.Sockets()
	if err != nil {
		return nil, nil, verb.Usagef("%s", ftp.Printable(err.Error()))
	}
	if len(sockets) == 0 {
		return nil, nil, nil
	}
	for _, s := range sockets {
		if s.Name == tlsSocket || cf.TLS == "implicit" {
			tlsFirst = append(tlsFirst, s.Listener)
		} else {
			plain = append(plain, s.Listener)
		}
	}
	if err := cf.fit(o, plain, tlsFirst); err != nil {
		for _, s := range sockets {
			_ = s.Close()
		}
		return nil, nil, err
	}
	o.Listen, o.ListenTLS = addressesOf(plain), addressesOf(tlsFirst)
	return plain, tlsFirst, nil
}

// fit returns an error if the sockets of systemd contradict the settings.
func (cf *config) fit(o *server.Options, plain, tlsFirst []net.Listener) error {
	if len(tlsFirst) > 0 && o.TLS == nil {
		return verb.Usagef("the socket %s of systemd has FileDescriptorName=%s and so is for implicit TLS, which needs a certificate: %s", tlsFirst[0].Addr(), tlsSocket, certificateWords(cf.By(&cf.TLS)))
	}
	for _, one := range []struct {
		field   *[]string
		want    []string
		sockets []net.Listener
	}{{&cf.Listen, o.Listen, plain}, {&cf.ListenTLS, o.ListenTLS, tlsFirst}} {
		if one.field == &cf.Listen && cf.TLS == "implicit" { // they are in o.ListenTLS
			one.want, one.sockets = o.ListenTLS, tlsFirst
		}
		if !cf.Given(one.field) || one.field == &cf.ListenTLS && cf.TLS == "implicit" && cf.Given(&cf.Listen) {
			continue
		}
		want, have := normal(one.want), normal(addressesOf(one.sockets))
		if !slices.Equal(want, have) {
			listed := "no such sockets"
			if len(have) > 0 {
				listed = strings.Join(addressesOf(one.sockets), ", ")
			}
			return cf.Located(one.field, verb.Usagef("%s %s differs from what systemd listens on (%s): remove it, or change ListenStream= in the socket unit",
				cf.Word(one.field), strings.Join(*one.field, ","), listed))
		}
	}
	return nil
}

func addressesOf(ls []net.Listener) (all []string) {
	for _, l := range ls {
		all = append(all, l.Addr().String())
	}
	return all
}

// normal returns addresses to listen on in one spelling, sorted: ":ftp" and "[::]:21" are the same.
func normal(addrs []string) (all []string) {
	for _, a := range addrs {
		host, port, _ := net.SplitHostPort(a)
		if n, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port); err == nil {
			port = strconv.Itoa(n)
		}
		if ip, err := netip.ParseAddr(host); err == nil {
			host = ip.Unmap().String()
		}
		if host == "" {
			host = "::"
		}
		all = append(all, net.JoinHostPort(host, port))
	}
	slices.Sort(all)
	return all
}
