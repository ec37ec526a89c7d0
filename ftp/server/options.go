package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// What Options that have a default other than none are set to for none.
const (
	NoLimit   = math.MaxInt
	NoTimeout = time.Duration(math.MaxInt64)
	NoDelay   = time.Duration(1)
)

// Options say what a Server serves, to whom, and within which bounds. Only Auth is needed: the zero
// value of everything else is its default. Nothing may be negative.
type Options struct {
	Auth Authenticator // who may log in, and to which files

	Listen   []string // for ListenAndServe; default 127.0.0.1:2121
	Greeting string   // the text of the 220; default "miniftp ready"
	Hosts    []string // the names that HOST may ask for (RFC 7151); none: any name

	PassivePorts dtp.PortRange // where passive data connections are listened for
	PublicIP     string        // an IPv4 address, or a host that has one, to announce in 227 replies
	// PublicIPAlways announces PublicIP to clients on this host and on its private networks
	// too, which are told the address that they called otherwise. It is for servers behind
	// a proxy or a router that hides the addresses of its clients.
	PublicIPAlways bool
	Guard          dtp.Guard // with whom data connections may be made; zero: the session's client only
	// Dial replaces the dialer of active data connections, for example to call clients from
	// port 20 or through a tunnel. It is given an address that Guard has admitted, and a ctx
	// that ends after DataTimeout or with the session. nil: package net's dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	IdleTimeout  time.Duration // no command for so long ends the session; default 5 min
	LoginTimeout time.Duration // from the greeting to a login; default 1 min
	DataTimeout  time.Duration // for a data connection to come about; default 30 s
	StallTimeout time.Duration // no byte on a data connection for so long; default 60 s
	Grace        time.Duration // for transfers in flight when ListenAndServe's context ends; default 10 s

	// Limits on sessions. Of IPv6 a network of 64 bits counts as one address.
	MaxSessions      int   // at once; 0: no limit
	MaxSessionsPerIP int   // at once from one address; 0: no limit
	MaxWaiting       int   // at once that are not logged in; default 1000, or NoLimit
	CommandRate      int   // commands per second of one session; more are read more slowly; 0: no limit
	Rate             int64 // bytes per second over all transfers; 0: no limit

	// Limits on HASH, XMD5 and their like, which read and compute without a transfer. Rate
	// does not count what they read, as it does not go over the network.
	MaxHashes   int           // at once, over all sessions and in turns; default half of the processors
	HashTimeout time.Duration // of one, waiting included; default 5 min, or NoTimeout
	HashRate    int64         // bytes per second read for all of them; 0: no limit

	// Networks: Deny wins over Allow; an empty Allow is everybody.
	Allow, Deny []netip.Prefix

	// Failed logins are counted by address and name (RFC 2577 §5), and for the address as a
	// whole, of which one name counts for three at most. One is forgiven each minute.
	FailureDelay     time.Duration // before the login behind the first; it doubles with each; default 1 s, or NoDelay
	MaxLoginFailures int           // then the name, or the address, is shut out; default 10, or NoLimit
	BanTime          time.Duration // for so long; default 10 min

	// UploadInPlace writes uploads straight to their final name. By default they
	// go to a hidden name and are renamed when they are whole.
	UploadInPlace bool

	// Sync says what has reached the disk when an upload is answered 226.
	Sync Sync

	// TLS holds the certificates (RFC 4217), in Certificates or GetCertificate; nil:
	// AUTH is not offered. TLS 1.2 is the least that is spoken. With ClientCAs and a
	// ClientAuth that asks for certificates, Login.TLS tells the Authenticator of them.
	TLS          *tls.Config
	TLSRequired  bool      // no login before AUTH, no data without PROT P
	SessionReuse dtp.Reuse // whether data connections must resume the control connection's TLS session
	ModeZ        bool      // MODE Z: clients may have data compressed
	AllowCCC     bool      // CCC may take TLS off the control connection after the login
	// CertUser is the user that a client with that certificate, which ClientCAs vouch
	// for, may log in as without a password; nil: certificates log nobody in.
	CertUser func(*x509.Certificate) string
	// FXPTLS is for copies from server to server on which this one is the TLS client
	// (SSCN, CPSV; see Account.FXP): whom to trust, and which certificate to show. The
	// other server's has to be for its IP address, if no ServerName is set. nil: any
	// certificate will do, as nothing says whose it should be.
	FXPTLS    *tls.Config
	ListenTLS []string // for ListenAndServe: addresses where TLS comes first, without AUTH (implicit)

	Observer ftp.Observer // is told everything that happens
	Log      *slog.Logger // is told of panics and of failures to accept; default slog.Default()
}

func (o *Options) setDefaults() {
	defaultTo(&o.Greeting, "miniftp ready")
	defaultTo(&o.IdleTimeout, 5*time.Minute)
	defaultTo(&o.LoginTimeout, time.Minute)
	defaultTo(&o.DataTimeout, dtp.DefaultTimeout)
	defaultTo(&o.StallTimeout, dtp.DefaultStall)
	defaultTo(&o.Grace, 10*time.Second)
	defaultTo(&o.MaxWaiting, 1000)
	defaultTo(&o.FailureDelay, time.Second)
	defaultTo(&o.MaxLoginFailures, 10)
	defaultTo(&o.BanTime, 10*time.Minute)
	defaultTo(&o.MaxHashes, halfOfTheProcessors())
	defaultTo(&o.HashTimeout, 5*time.Minute)
	defaultTo(&o.Log, slog.Default())
	if len(o.Listen) == 0 && len(o.ListenTLS) == 0 {
		o.Listen = []string{"127.0.0.1:2121"}
	}
}

func defaultTo[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// settings are checked Options and what is made of them. A session keeps those
// it began with.
type settings struct {
	Options
	data dtp.Config
	tls  *tls.Config // nil: no TLS
	rate *rate.Limiter
	// hashRate is the limit of HashRate, which all sessions share.
	hashRate *rate.Limiter
	public   *publicIP
}

// newSettings checks the options. old, if any, lends what need not be made anew.
func newSettings(opts Options, old *settings) (*settings, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	opts.setDefaults()
	set := &settings{Options: opts, rate: dtp.NewRate(opts.Rate), hashRate: dtp.NewRate(opts.HashRate), public: newPublicIP(opts.PublicIP, old)}
	if opts.TLS != nil {
		set.tls = opts.TLS.Clone()
		set.tls.MinVersion = max(set.tls.MinVersion, tls.VersionTLS12)
		set.tls.NextProtos = []string{"ftp"} // a client that means another protocol is refused (ALPACA)
	}
	var ports *dtp.Ports
	if old != nil && old.PassivePorts == opts.PassivePorts {
		ports = old.data.Ports
	} else {
		var err error
		if ports, err = dtp.NewPorts(opts.PassivePorts); err != nil {
			return nil, fmt.Errorf("server: %w", err)
		}
	}
	set.data = dtp.Config{Side: ftp.ServerPI, Ports: ports, Guard: opts.Guard, Timeout: opts.DataTimeout, Dial: opts.Dial}
	return set, nil
}

// check finds what can't be meant.
func (o *Options) check() error {
	if o.Auth == nil {
		return errors.New("Options.Auth is missing: nobody could log in")
	}
	for _, d := range []time.Duration{o.IdleTimeout, o.LoginTimeout, o.DataTimeout, o.StallTimeout, o.Grace, o.BanTime, o.HashTimeout, o.FailureDelay} {
		if d < 0 {
			return fmt.Errorf("a time of %v is negative", d)
		}
	}
	if o.MaxSessions < 0 || o.MaxWaiting < 0 || o.MaxLoginFailures < 0 || o.MaxSessionsPerIP < 0 || o.CommandRate < 0 || o.Rate < 0 || o.MaxHashes < 0 || o.HashRate < 0 {
		return errors.New("a limit is negative")
	}
	for _, networks := range [][]netip.Prefix{o.Allow, o.Deny} {
		if err := checkNetworks(networks); err != nil {
			return err
		}
	}
	if users, ok := o.Auth.(CheckAuthenticator); ok {
		if err := users.Check(); err != nil {
			return err
		}
	}
	switch c := o.TLS; {
	case c == nil && (o.TLSRequired || len(o.ListenTLS) > 0):
		return errors.New("TLS is asked for, and Options.TLS is missing")
	case c != nil && len(c.Certificates) == 0 && c.GetCertificate == nil:
		return errors.New("Options.TLS has no certificate")
	case c != nil && c.GetConfigForClient != nil:
		return errors.New("Options.TLS.GetConfigForClient would be ignored: use GetCertificate, or Reload")
	case o.Sync > SyncFull:
		return errors.New("Options.Sync is none of the three")
	case o.SessionReuse > dtp.ReuseOff:
		return errors.New("Options.SessionReuse is none of the three")
	}
	if ip, err := netip.ParseAddr(o.PublicIP); err == nil && !ip.Is4() {
		return fmt.Errorf("the public IP %v is not an IPv4 address, and a 227 can name no other", ip)
	}
	return nil
}
