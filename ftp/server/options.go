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

// Values for Options whose zero value is a limit, a timeout or a delay by default.
const (
	NoLimit   = math.MaxInt
	NoTimeout = time.Duration(math.MaxInt64)
	NoDelay   = time.Duration(1)
)

// Options define what a Server serves, to whom, and with which limits. Only Auth is required: for all other
// fields the zero value means the default. No value may be negative.
type Options struct {
	Auth Authenticator // who may log in, and to which files; required

	Listen   []string // addresses for ListenAndServe; default 127.0.0.1:2121
	Greeting string   // the text of the 220; default "miniftp ready"
	Hosts    []string // host names that HOST accepts (RFC 7151); empty: any name

	PassivePorts dtp.PortRange // ports for passive data connections
	PublicIP     string        // the IPv4 address to announce in 227 replies, or a host that has one
	// PublicIPAlways announces PublicIP also to clients on this host and on its private networks. By default
	// these get the address that they have connected to. Set it behind a proxy or router that hides the
	// addresses of its clients.
	PublicIPAlways bool
	// PublicIPFor announces other addresses to the clients of some networks: the first rule whose Network has the
	// client decides, before PublicIP.
	PublicIPFor []PublicIPRule
	// AnnouncedPorts, if not empty, are announced in place of PassivePorts, one for one: for a router or a container
	// that maps the ports.
	AnnouncedPorts dtp.PortRange
	// ProxyProtocol has the networks of balancers whose connections, control and data, begin with a PROXY header
	// (version 1 or 2). The client is then who the header says. A connection from there without a header is closed.
	ProxyProtocol []netip.Prefix
	Guard         dtp.Guard // which hosts data connections may be made with; zero: only the session's client
	// Dial replaces the dialer of active data connections, for example to call clients from
	// port 20 or through a tunnel. It is given an address that Guard has admitted, and a ctx
	// that ends after DataTimeout or with the session. nil: package net's dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	IdleTimeout  time.Duration // a session without a command for so long is ended; default 5 min
	LoginTimeout time.Duration // from the greeting to a login; default 1 min
	DataTimeout  time.Duration // to open a data connection; default 30 s
	StallTimeout time.Duration // a transfer in which no byte moves for so long is aborted; default 60 s
	Grace        time.Duration // for running transfers when ListenAndServe's context ends; default 10 s

	// Limits on sessions. An IPv6 network of 64 bits counts as one address.
	MaxSessions      int   // at once; 0: no limit
	MaxSessionsPerIP int   // at once from one address; 0: no limit
	MaxWaiting       int   // at once that are not logged in; default 1000; NoLimit for none
	CommandRate      int   // commands per second of one session; faster ones are delayed; 0: no limit
	Rate             int64 // bytes per second over all transfers; 0: no limit

	// Limits on HASH, XMD5 and similar commands, which read a file and compute without a transfer. Rate does
	// not count what they read, because it is not sent over the network.
	MaxHashes   int           // at once, over all sessions; default half of the processors
	HashTimeout time.Duration // for one hash, including its wait; default 5 min; NoTimeout for none
	HashRate    int64         // bytes per second read by all of them; 0: no limit

	// The networks that clients may connect from. Deny overrides Allow; an empty Allow means all networks.
	Allow, Deny []netip.Prefix

	// Failed logins are counted by address and name (RFC 2577 §5). They are also counted by address, where one
	// name counts at most three times. One failure is forgiven each minute.
	FailureDelay     time.Duration // pause after the first failure; doubles with each; default 1 s; NoDelay for none
	MaxLoginFailures int           // failures that ban the name or the address; default 10; NoLimit for no ban
	BanTime          time.Duration // how long a ban lasts; default 10 min

	// HashUploads computes the SHA-256 of each upload, for the Observer (ftp.TransferDone). Bytes are hashed as they
	// arrive, so the kernel can't move them by itself. An upload that is resumed or appended is read again when it
	// is complete, before its reply, within the limits on hashes.
	HashUploads bool

	// UploadInPlace writes uploads directly to their final name. By default they are written to a hidden name
	// and renamed when they are whole.
	UploadInPlace bool

	// Gate, if not nil, decides about each upload when it is whole, before it gets its final name and the 226. All
	// uploads are then written to a hidden name first. So appending to a file, changing a part of it and writing
	// through a symlink are refused, and so are uploads to an UploadFs without HeldUpload and to storages whose files
	// have no identity.
	// Only uploads are checked: what is there already and what other programs write is not, even if it is renamed.
	Gate        Gate
	GateTimeout time.Duration // for the check of one upload, including its wait; default 1 min
	MaxChecks   int           // at once, over all sessions; default 8

	// Sync says what is safely on the disk when an upload is answered with 226.
	Sync Sync

	// TLS holds the certificates (RFC 4217), in Certificates or GetCertificate. If it is nil, AUTH is not
	// supported. The minimum version is TLS 1.2. With ClientCAs and a ClientAuth that requests certificates,
	// the Authenticator gets the client's certificate in Login.TLS.
	TLS          *tls.Config
	TLSRequired  bool      // no login before AUTH, no transfer without PROT P
	SessionReuse dtp.Reuse // whether data connections must resume the control connection's TLS session
	// OldTLS has the networks of devices whose TLS is old: their clients may use TLS 1.0 and 1.1 and old cipher suites, and
	// their data connections need not resume a session. Most of these suites need a certificate with an RSA key. Such
	// connections can be attacked, and can be read later by anyone who records them and gets the key.
	OldTLS   []netip.Prefix
	ModeZ    bool // support MODE Z (compressed data)
	AllowCCC bool // let CCC end TLS on the control connection after the login
	// CertUser returns the user that a client with that certificate, which ClientCAs have verified, may log in
	// as without a password. If CertUser is nil, certificates do not replace passwords.
	CertUser func(*x509.Certificate) string
	// FXPTLS is used for copies from server to server in which this server is the TLS client (SSCN, CPSV; see
	// Account.FXP): it says whom to trust and which certificate to present. If it has no ServerName, the
	// certificate of the other server must be valid for its IP address. If FXPTLS is nil, any certificate is
	// accepted, because nothing says whose it should be.
	FXPTLS    *tls.Config
	ListenTLS []string // addresses for ListenAndServe where TLS comes first, without AUTH (implicit TLS)

	// State is shared with other servers of the same service: quotas, Account.MaxSessions and bans then count for
	// all of them. nil: in the memory of this process. Reload does not change it.
	State State

	Observer ftp.Observer // receives all events
	// Journal records uploads and other changes before they are made, and complete downloads and logins before their
	// replies; nil: nothing is recorded.
	Journal Journal
	Log     *slog.Logger // gets panics and other trouble of the server; default slog.Default()
}

// setDefaults replaces zero values by the defaults.
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
	o.gateDefaults()
	defaultTo(&o.Log, slog.Default())
	switch o.State.(type) {
	case nil:
		o.State = newMemState()
	case *memState, *turns:
	default:
		o.State = newTurns(o.State)
	}
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

// settings are checked Options and what is derived from them. A session keeps the settings it began with.
type settings struct {
	Options
	data dtp.Config
	tls  *tls.Config // nil: no TLS
	// oldTLS is tls for the clients in OldTLS.
	oldTLS *tls.Config
	rate   *rate.Limiter
	// hashRate enforces HashRate over all sessions.
	hashRate *rate.Limiter
	public   map[string]*publicIP // by host
}

// newSettings checks the options. What has not changed is taken over from old, which may be nil.
func newSettings(opts Options, old *settings) (*settings, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	opts.setDefaults()
	if old != nil {
		opts.State = old.State
	}
	set := &settings{Options: opts, rate: dtp.NewRate(opts.Rate), hashRate: dtp.NewRate(opts.HashRate), public: publicIPs(&opts, old)}
	if opts.TLS != nil {
		set.tls = opts.TLS.Clone()
		set.tls.MinVersion = max(set.tls.MinVersion, tls.VersionTLS12)
		set.tls.NextProtos = []string{"ftp"} // refuse clients that ask for another protocol (ALPACA attack)
		set.oldTLS = forOldClients(set.tls)
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
	if len(opts.ProxyProtocol) > 0 {
		set.data.Sender = set.sender
	}
	return set, nil
}

// check returns an error for options that can't be meant.
func (o *Options) check() error {
	if o.Auth == nil {
		return errors.New("Options.Auth is missing: nobody could log in")
	}
	for _, d := range []time.Duration{o.IdleTimeout, o.LoginTimeout, o.DataTimeout, o.StallTimeout, o.Grace, o.BanTime, o.HashTimeout, o.FailureDelay} {
		if d < 0 {
			return fmt.Errorf("the duration %v is negative", d)
		}
	}
	if o.MaxSessions < 0 || o.MaxWaiting < 0 || o.MaxLoginFailures < 0 || o.MaxSessionsPerIP < 0 || o.CommandRate < 0 || o.Rate < 0 || o.MaxHashes < 0 || o.HashRate < 0 {
		return errors.New("a limit is negative")
	}
	for _, networks := range [][]netip.Prefix{o.Allow, o.Deny, o.ProxyProtocol, o.OldTLS} {
		if err := checkNetworks(networks); err != nil {
			return err
		}
	}
	if users, ok := o.Auth.(CheckAuthenticator); ok {
		if err := users.Check(); err != nil {
			return err
		}
	}
	if err := o.checkGate(); err != nil {
		return err
	}
	switch c := o.TLS; {
	case c == nil && (o.TLSRequired || len(o.ListenTLS) > 0 || len(o.OldTLS) > 0):
		return errors.New("TLSRequired, ListenTLS or OldTLS is set, but Options.TLS is missing")
	case c != nil && len(c.Certificates) == 0 && c.GetCertificate == nil:
		return errors.New("Options.TLS has no certificate")
	case c != nil && c.GetConfigForClient != nil:
		return errors.New("Options.TLS.GetConfigForClient would be ignored: use GetCertificate, or Reload")
	case o.Sync > SyncFull:
		return errors.New("Options.Sync is not a valid value")
	case o.SessionReuse > dtp.ReuseOff:
		return errors.New("Options.SessionReuse is not a valid value")
	}
	for _, host := range append([]string{o.PublicIP}, hostsOf(o.PublicIPFor)...) {
		if ip, err := netip.ParseAddr(host); err == nil && !ip.Is4() {
			return fmt.Errorf("the public IP %v is not an IPv4 address, which a 227 requires", ip)
		}
	}
	for _, r := range o.PublicIPFor {
		if err := checkNetworks([]netip.Prefix{r.Network}); err != nil || r.Host == "" {
			return errors.Join(errors.New("a rule of PublicIPFor needs a network and a host"), err)
		}
	}
	if a := o.AnnouncedPorts; !a.IsZero() && (o.PassivePorts.IsZero() || a.Len() != o.PassivePorts.Len()) {
		return errors.New("AnnouncedPorts must have as many ports as PassivePorts")
	}
	return nil
}
