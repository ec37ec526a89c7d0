package serve

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/runas"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server"
)

// config holds the settings of a server and what prepare made of them.
type config struct {
	*settings.Config
	nesting *fsroot.Nesting // of the directories in which users may write
	trial   bool            // for config check: no file is written
	user    *runas.User     // of --run-as; nil without it, or if it is not valid
	sought  bool            // findUser was called
	noACME  bool            // the server that reloads was started without --tls-acme

	acmeFiles []string // the files with keys for --tls-acme
}

// options returns the options of the server, without users, TLS and the log. Mistakes are added
// to cf.Problems.
func (cf *config) options() server.Options {
	cf.checkPasswords()
	cf.findUser()
	o := server.Options{
		Greeting: cf.Greeting, Hosts: cf.Names(&cf.Host),
		PublicIP: cf.PublicIP, PublicIPAlways: cf.PublicIPAlways,
		Guard:       dtp.Guard{DialAnyHost: cf.DataAnyHost, AcceptAnyHost: cf.DataAnyHost, LowPorts: cf.DataLowPorts},
		IdleTimeout: cf.IdleTimeout, LoginTimeout: cf.LoginTimeout,
		DataTimeout: cf.DataTimeout, StallTimeout: cf.StallTimeout,
		Grace: cf.Grace, BanTime: cf.BanTime,
		MaxSessions: cf.MaxSessions, MaxSessionsPerIP: cf.MaxSessionsPerIP,
		CommandRate: cf.CommandRate, MaxHashes: cf.MaxHashes,
		UploadInPlace: cf.UploadInPlace, HashUploads: cf.LogSHA256, ModeZ: cf.ModeZ, Sync: syncs[cf.Sync],
	}
	// In server.Options 0 means the default; in the settings it means none.
	o.HashTimeout, o.FailureDelay = cmp.Or(cf.HashTimeout, server.NoTimeout), cmp.Or(cf.FailureDelay, server.NoDelay)
	o.MaxWaiting, o.MaxLoginFailures = cmp.Or(cf.MaxWaiting, server.NoLimit), cmp.Or(cf.MaxLoginFailures, server.NoLimit)
	if cf.Root == "" {
		cf.Wrong(&cf.Root, "is empty: name a directory, such as . for the current one")
	}
	if strings.ContainsAny(o.Greeting, "\r\n") {
		cf.Wrong(&cf.Greeting, "%q: must be a single line", o.Greeting)
	}
	var err error
	o.Listen = cf.addresses(&cf.Listen)
	o.PassivePorts, o.AnnouncedPorts, err = cf.passivePorts()
	cf.Blame(&cf.PassivePorts, err)
	o.PublicIPFor = cf.publicIPFor()
	o.ProxyProtocol = cf.networks(&cf.ProxyProtocol)
	o.Rate, err = flags.ByteRate(cf.Word(&cf.Rate), cf.Rate)
	cf.Blame(&cf.Rate, err)
	o.HashRate, err = flags.ByteRate(cf.Word(&cf.HashRate), cf.HashRate)
	cf.Blame(&cf.HashRate, err)
	cf.checkPublicIP()
	if cf.Metrics != "" && !isAddress(cf.Metrics) {
		cf.Wrong(&cf.Metrics, "%q: not an address to listen on: write 127.0.0.1:9100, [::1]:9100 or :9100", cf.Metrics)
	}
	if cf.Console != "" && !isAddress(cf.Console) {
		cf.Wrong(&cf.Console, "%q: not an address to listen on: write 127.0.0.1:9101, [::1]:9101 or :9101", cf.Console)
	}
	if cf.ConsoleTokenFile != "" && cf.trial { // else it is read once, when the page is made
		_, err = cf.readConsoleToken(func(text string) { cf.Warn("%s", text) })
		cf.Blame(&cf.ConsoleTokenFile, err)
	}
	o.Allow, o.Deny = cf.networks(&cf.Allow), cf.networks(&cf.Deny)
	return o
}

// checkPasswords records password hashes that no password can match as mistakes.
func (cf *config) checkPasswords() {
	for _, a := range cf.Users {
		if a.Password == "" {
			continue
		}
		if err := (server.Static{"": {Password: a.Password}}).Check(); err != nil {
			cf.BlameUser(a, &a.Password, errors.New(strings.TrimPrefix(err.Error(), `user "": `)))
		}
	}
}

// passivePorts returns the ports to listen on, and those to announce if they differ: LO-HI, LO-HI=LO-HI or LO-HI=@FILE.
func (cf *config) passivePorts() (listen, announce dtp.PortRange, err error) {
	word := cf.Word(&cf.PassivePorts)
	first, second, mapped := strings.Cut(cf.PassivePorts, "=")
	if listen, err = flags.PortRange(word, first); err != nil || !mapped {
		return listen, announce, err
	}
	if file, ok := strings.CutPrefix(second, "@"); ok {
		if cf.Path != "" && cf.By(&cf.PassivePorts) == settings.ByFile {
			file = cf.Beside(file)
		}
		text, _, err := local.ReadFile(file)
		if err != nil {
			return listen, announce, err
		}
		second = strings.TrimSpace(string(text))
	}
	announce, err = flags.PortRange(word, second)
	if err == nil && (listen.IsZero() || announce.Len() != listen.Len()) {
		err = verb.Usagef("%s %q: the ports to announce must be as many as those to listen on", word, cf.PassivePorts)
	}
	return listen, announce, err
}

// publicIPFor returns the rules of --public-ip-for.
func (cf *config) publicIPFor() (rules []server.PublicIPRule) {
	for _, rule := range cf.PublicIPFor {
		network, host, ok := strings.Cut(rule, "=")
		all, err := settings.Networks([]string{network})
		ip, notIP := netip.ParseAddr(host)
		switch {
		case !ok || err != nil || len(all) != 1, notIP == nil && !ip.Is4(), notIP != nil && !hostName.MatchString(host):
			cf.Wrong(&cf.PublicIPFor, "%q: write NETWORK=ADDRESS, such as 10.0.0.0/8=10.1.2.3 or 192.168.0.0/16=as-dialed", rule)
		default:
			rules = append(rules, server.PublicIPRule{Network: all[0], Host: host})
		}
	}
	return rules
}

// checkPublicIP records a --public-ip that is neither an IPv4 address nor a host name as a mistake. A
// name that can't be looked up is not a mistake, because it may be known later: the server logs it, and
// config check warns.
func (cf *config) checkPublicIP() {
	host := cf.PublicIP
	ip, err := netip.ParseAddr(host)
	last := host[strings.LastIndex(host, ".")+1:]
	switch {
	case err == nil && !ip.Is4(), host != "" && err != nil && !hostName.MatchString(host), err != nil && host != "" && strings.Trim(last, "0123456789") == "":
		cf.Wrong(&cf.PublicIP, "%q: must be an IPv4 address or a host name, because a 227 reply can hold only an IPv4 address", host)
	case cf.trial && host != "" && err != nil:
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := server.LookupPublicIP(ctx, host); err != nil {
			cf.Warn("%s %s can't be looked up (%s): until it can, the address that the client connected to is announced", cf.Label(&cf.PublicIP), host, ftp.Printable(err.Error()))
		}
	}
}

// hostName matches host names in ASCII.
var hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// syncs holds the values of --sync.
var syncs = map[string]server.Sync{"off": server.SyncOff, "file": server.SyncFile, "full": server.SyncFull}

// checkDuplicates records duplicate addresses as mistakes, because the second listener would fail.
func (cf *config) checkDuplicates(o server.Options) {
	seen := map[string]bool{}
	for _, l := range []struct {
		field *[]string
		addrs []string
	}{{&cf.Listen, o.Listen}, {&cf.ListenTLS, o.ListenTLS}} {
		if !cf.Given(l.field) {
			l.field = &cf.Listen // --tls implicit moved --listen to o.ListenTLS
		}
		for _, a := range l.addrs {
			host, port, _ := net.SplitHostPort(a)
			n, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
			if ip, ipErr := netip.ParseAddr(host); ipErr == nil {
				host = ip.String()
			}
			at := net.JoinHostPort(host, strconv.Itoa(n))
			if seen[at] {
				cf.Wrong(l.field, "%s: duplicate address", a)
			}
			seen[at] = err == nil && n != 0 // port 0 is a different one each time
		}
	}
}

// addresses returns the addresses in --listen or --listen-tls, split at commas. It stops at the first
// invalid one, which it records as a mistake.
func (cf *config) addresses(field *[]string) (all []string) {
	for _, given := range *field {
		for _, a := range settings.Words([]string{given}) {
			if !isAddress(a) {
				cf.Wrong(field, "%q: not an address to listen on: write 127.0.0.1:2121, [::1]:2121 or :2121", given)
				return nil
			}
			all = append(all, a)
		}
	}
	return all
}

// isAddress reports whether a is an address to listen on.
func isAddress(a string) bool {
	host, port, err := net.SplitHostPort(a)
	if err == nil && host != "" && strings.Trim(host, "0123456789.") == "" {
		_, err = netip.ParseAddr(host) // it must be an address, not a name
	}
	if err == nil {
		_, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
	}
	return err == nil && port != ""
}

func (cf *config) networks(field *[]string) []netip.Prefix {
	all, err := settings.Networks(*field)
	if err != nil {
		cf.Wrong(field, "%v", err)
	}
	return all
}
