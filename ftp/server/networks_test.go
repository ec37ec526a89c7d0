package server_test

import (
	"context"
	"net/netip"
	"testing"

	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

func prefixes(t testing.TB, list ...string) []netip.Prefix {
	t.Helper()
	var ps []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		check(t, err)
		ps = append(ps, p)
	}
	return ps
}

// Deny overrides Allow, an empty Allow means everywhere, and all notations of an address are the same.
func TestAllowAndDeny(t *testing.T) {
	for _, tt := range []struct {
		allow, deny []string
		ip          string
		refused     ftp.Reason
	}{
		{nil, nil, "192.0.2.1", ftp.ReasonOther},
		{nil, []string{"192.0.2.0/24"}, "192.0.2.1", ftp.ReasonDenied},
		{nil, []string{"192.0.2.0/24"}, "192.0.3.1", ftp.ReasonOther},
		{[]string{"10.0.0.0/8"}, nil, "10.255.0.1", ftp.ReasonOther},
		{[]string{"10.0.0.0/8"}, nil, "11.0.0.1", ftp.ReasonNotAllowed},
		{[]string{"10.0.0.0/8"}, []string{"10.0.0.1/32"}, "10.0.0.1", ftp.ReasonDenied},
		{[]string{"10.0.0.0/8"}, []string{"10.0.0.1/32"}, "10.0.0.2", ftp.ReasonOther},
		{[]string{"10.0.0.0/8"}, nil, "::ffff:10.0.0.2", ftp.ReasonOther},
		{[]string{"::ffff:10.0.0.0/104"}, nil, "10.0.0.2", ftp.ReasonOther},
		{nil, []string{"::ffff:10.0.0.0/104"}, "10.0.0.2", ftp.ReasonDenied},
		{[]string{"10.0.0.0/8"}, nil, "2001:db8::1", ftp.ReasonNotAllowed},
		{nil, []string{"2001:db8::/32"}, "2001:db8::1", ftp.ReasonDenied},
		{nil, []string{"::/0"}, "10.0.0.2", ftp.ReasonOther},
		{nil, []string{"fe80::/10"}, "fe80::1%eth0", ftp.ReasonDenied},
		{[]string{"fe80::/10"}, nil, "fe80::1%eth0", ftp.ReasonOther},
		{nil, []string{"0.0.0.0/0", "::/0"}, "2001:db8::1", ftp.ReasonDenied},
	} {
		withFakeNet(t, func(o *server.Options) { o.Allow, o.Deny = prefixes(t, tt.allow...), prefixes(t, tt.deny...) }, func(t *testing.T, s *fakeNet) {
			c := s.from(tt.ip)
			want := ftp.Code(220)
			if tt.refused != ftp.ReasonOther {
				want = 421
			}
			c.want(want)
			if reasons, _ := s.refused(); len(reasons) > 1 || len(reasons) == 1 != (tt.refused != ftp.ReasonOther) || len(reasons) == 1 && reasons[0] != tt.refused {
				t.Errorf("%+v: refused by %v", tt, reasons)
			}
		})
	}
}

// Account.Networks applies to every Authenticator, not only to Static.
func TestNetworksOfAnAccount(t *testing.T) {
	withFakeNet(t, func(o *server.Options) {
		account := &server.Account{FS: fsroot.NewMem(), Networks: prefixes(t, "10.0.0.0/8")}
		o.Auth = server.AuthenticatorFunc(func(context.Context, server.Login) (*server.Account, error) { return account, nil })
	}, func(t *testing.T, s *fakeNet) {
		for ip, code := range map[string]ftp.Code{"10.0.0.9": 230, alice: 530} {
			c := s.from(ip)
			c.want(220)
			c.cmd("USER x", 331)
			c.cmd("PASS x", code)
		}
	})
}

// A network that contains no address is an error, not a list without effect.
func TestBadNetworks(t *testing.T) {
	for _, bad := range []netip.Prefix{{}, netip.PrefixFrom(netip.MustParseAddr("::ffff:1.2.3.4"), 64), netip.PrefixFrom(netip.MustParseAddr("1.2.3.4"), 33)} {
		for _, o := range []server.Options{{Allow: []netip.Prefix{bad}}, {Deny: []netip.Prefix{bad}}} {
			o.Auth = accounts(fsroot.NewMem())
			if _, err := server.New(o); err == nil {
				t.Errorf("%v was accepted", bad)
			}
		}
	}
}
