package main

import (
	"context"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server"
)

// options are what the server is told, but for users, TLS and the log. What is wrong
// goes to cf.problems.
func (cf *config) options() server.Options {
	o := server.Options{
		Greeting: cf.str("greeting"), Hosts: cf.names("host"),
		PublicIP: cf.str("public-ip"), PublicIPAlways: cf.on("public-ip-always"),
		Guard:       dtp.Guard{DialAnyHost: cf.on("data-any-host"), AcceptAnyHost: cf.on("data-any-host"), LowPorts: cf.on("data-low-ports")},
		IdleTimeout: cf.positive("idle-timeout"), LoginTimeout: cf.positive("login-timeout"),
		DataTimeout: cf.positive("data-timeout"), StallTimeout: cf.positive("stall-timeout"),
		Grace: cf.positive("grace"), BanTime: cf.positive("ban-time"),
		MaxSessions: cf.count("max-sessions"), MaxSessionsPerIP: cf.count("max-sessions-per-ip"),
		CommandRate: cf.count("command-rate"), MaxHashes: cf.num("max-hashes"),
		UploadInPlace: cf.on("upload-in-place"), ModeZ: cf.on("mode-z"),
	}
	o.Sync = syncs[cf.str("sync")]
	// To the server 0 is the default, here it is none.
	if o.MaxHashes < 0 {
		cf.wrong("max-hashes", "%d: it can't be negative; 0 is half of the processors", o.MaxHashes)
	}
	o.HashTimeout = noneIsNegative(cf.time("hash-timeout"))
	if cf.time("hash-timeout") < 0 {
		cf.wrong("hash-timeout", "%v: it can't be negative; 0 is no limit", cf.time("hash-timeout"))
	}
	o.MaxWaiting = noneIsNegative(cf.count("max-waiting"))
	o.MaxLoginFailures = noneIsNegative(cf.count("max-login-failures"))
	o.FailureDelay = noneIsNegative(cf.time("failure-delay"))
	if cf.time("failure-delay") < 0 {
		cf.wrong("failure-delay", "%v: it can't be negative; 0 is at once", cf.time("failure-delay"))
	}
	if cf.str("root") == "" {
		cf.wrong("root", "is empty: name a directory; . is the one where serve is started")
	}
	if strings.ContainsAny(o.Greeting, "\r\n") {
		cf.wrong("greeting", "%q: it is one line", o.Greeting)
	}
	var err error
	o.Listen = cf.addresses("listen")
	o.PassivePorts, err = portRange(cf.word("passive-ports"), cf.str("passive-ports"))
	cf.blame("passive-ports", err)
	o.Rate, err = byteRate(cf.word("rate"), cf.str("rate"))
	cf.blame("rate", err)
	o.HashRate, err = byteRate(cf.word("hash-rate"), cf.str("hash-rate"))
	cf.blame("hash-rate", err)
	cf.checkPublicIP(o.PublicIP)
	o.Allow, o.Deny = cf.networks("allow"), cf.networks("deny")
	cf.checkWords()
	return o
}

// checkPublicIP finds what is neither an address nor a name. A name that can't be looked
// up now is no mistake, as it may be known later; the server logs it, and config check
// warns of it.
func (cf *config) checkPublicIP(host string) {
	ip, err := netip.ParseAddr(host)
	last := host[strings.LastIndex(host, ".")+1:]
	switch {
	case err == nil && !ip.Is4(), host != "" && err != nil && !hostName.MatchString(host), err != nil && host != "" && strings.Trim(last, "0123456789") == "":
		cf.wrong("public-ip", "%q: it is an IPv4 address or a host's name; a 227 can name no other", host)
	case cf.trial && host != "" && err != nil:
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := server.LookupPublicIP(ctx, host); err != nil {
			cf.warn("%s %s can't be looked up (%s): until it can, clients are told the address that they called", cf.label("public-ip"), host, ftp.Printable(err.Error()))
		}
	}
}

// hostName is what the name of a host looks like, in ASCII.
var hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// checkWords finds settings that are none of the words they can be.
func (cf *config) checkWords() {
	for _, name := range []string{"tls", "sync", "tls-session-reuse", "log-level", "log-format"} {
		word := cf.str(name)
		if !slices.Contains(flagWords[name], word) && (name != "log-format" || word != "") {
			cf.wrong(name, "%q: %s", word, itIs(name, word))
		}
	}
}

// syncs are the words of --sync.
var syncs = map[string]server.Sync{"off": server.SyncOff, "file": server.SyncFile, "full": server.SyncFull}

// sameTwice finds an address that stands there twice: nobody can listen there again.
func (cf *config) sameTwice(o server.Options) {
	seen := map[string]bool{}
	for _, l := range []struct {
		name  string
		addrs []string
	}{{"listen", o.Listen}, {"listen-tls", o.ListenTLS}} {
		if !cf.given(l.name) {
			l.name = "listen" // implicit: these are for TLS first
		}
		for _, a := range l.addrs {
			host, port, _ := net.SplitHostPort(a)
			n, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
			if ip, ipErr := netip.ParseAddr(host); ipErr == nil {
				host = ip.String()
			}
			at := net.JoinHostPort(host, strconv.Itoa(n))
			if seen[at] {
				cf.wrong(l.name, "%s: that address stands there twice", a)
			}
			seen[at] = err == nil && n != 0 // 0 is another port each time
		}
	}
}

func noneIsNegative[T int | time.Duration](n T) T {
	if n == 0 {
		return -1
	}
	return n
}

// positive is a time that can't be nothing.
func (cf *config) positive(name string) time.Duration {
	d := cf.time(name)
	if d <= 0 {
		cf.wrong(name, "%v: it must be longer than nothing", d)
	}
	return d
}

// count is a number that can't be negative.
func (cf *config) count(name string) int {
	n := cf.num(name)
	if n < 0 {
		cf.wrong(name, "%d: it can't be negative; 0 is no limit", n)
	}
	return n
}

// addresses are those to listen on.
func (cf *config) addresses(name string) []string {
	all, err := listenAddrs(cf.word(name), cf.list(name))
	cf.blame(name, err)
	return all
}

func (cf *config) networks(name string) []netip.Prefix {
	all, err := networks(cf.list(name))
	if err != nil {
		cf.wrong(name, "%v", err)
	}
	return all
}

// static are the accounts with their files, which roots opens at each login. What is
// wrong with the root or the home of one user is a warning: it is that user's alone.
func (cf *config) static(roots *roots) server.Static {
	static := server.Static{}
	everybody, err := doubts(cf.list("accept-upload"))
	if err != nil {
		cf.wrong("accept-upload", "%v", err)
	}
	for _, a := range cf.users {
		tree := roots.get(cf.rootOf(a))
		files, lease, err := tree.acquire(roots.ctx)
		if err != nil {
			cf.rootFailed(a, err)
		} else {
			if a.home != "" {
				if fi, err := files.Stat(a.home); err != nil || !fi.IsDir() {
					cf.warn("%s: user %s: the home %q is no directory below %q: sessions begin in /", cf.userFrom(a, "home"), ftp.Printable(a.name), a.home, maskPassword(cf.rootOf(a)))
				}
			}
			_ = lease.Close()
		}
		writes := a.writes()
		static[a.name] = server.User{Password: a.password, Anyone: a.anyone, Account: server.Account{
			Open: func(ctx context.Context) (afero.Fs, io.Closer, error) {
				files, lease, err := tree.acquire(ctx)
				if err == nil && !writes { // where nothing may be written, nothing can be
					files = readOnly(files)
				}
				return files, lease, err
			},
			Home: a.home, Perm: a.perm, RateDown: a.down, RateUp: a.up,
			MaxSessions: a.sessions, Networks: a.networks, FXP: a.fxp,
			Accept: a.accept | everybody,
		}}
	}
	return static
}

func (cf *config) rootOf(a *account) string {
	if a.root != "" {
		return a.root
	}
	return cf.str("root")
}

// rootFailed notes what is wrong with the root of a user. The root of all is a mistake
// of whoever started the server, unless other users may have removed it.
func (cf *config) rootFailed(a *account, err error) {
	spec := cf.rootOf(a)
	err = rootProblem(spec, err)
	_, _, nested := cf.nesting.Outer(spec)
	switch {
	case exitCode(err) != exitUsage && (a.root != "" || isDirectory(spec) && nested):
		cf.warn("%s: user %s: %s: logins are refused until it can be opened", cf.userFrom(a, "root"), ftp.Printable(a.name), ftp.Printable(err.Error()))
	case a.root != "":
		cf.problem(cf.file.at(a.lines["root"], err))
	case !slices.ContainsFunc(cf.problems, func(p error) bool { return strings.HasSuffix(p.Error(), err.Error()) }):
		cf.blame("root", err)
	}
}
