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

// adopted holds the sockets of systemd by what they are for.
type adopted struct{ plain, tlsFirst, http, alpn []net.Listener }

// adopt takes over the sockets of systemd, if there are any, and sets o.Listen and o.ListenTLS to their addresses. If the
// settings listen and listen-tls are given, they must name the same addresses. openChallenges checks those for the
// authority.
func (cf *config) adopt(o *server.Options) (a adopted, err error) {
	sockets, err := systemd.Sockets()
	if err != nil {
		return adopted{}, verb.Usagef("%s", ftp.Printable(err.Error()))
	}
	for _, s := range sockets {
		to := &a.plain
		switch {
		case s.Name == httpSocket:
			to = &a.http
		case s.Name == alpnSocket:
			to = &a.alpn
		case s.Name == tlsSocket, cf.TLS == "implicit":
			to = &a.tlsFirst
		}
		*to = append(*to, s.Listener)
	}
	if len(a.plain)+len(a.tlsFirst) == 0 {
		return a, nil
	}
	if err := cf.fit(o, a.plain, a.tlsFirst); err != nil {
		for _, s := range sockets {
			_ = s.Close()
		}
		return adopted{}, err
	}
	o.Listen, o.ListenTLS = addressesOf(a.plain), addressesOf(a.tlsFirst)
	return a, nil
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
