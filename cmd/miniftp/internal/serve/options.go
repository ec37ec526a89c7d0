package serve

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

	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server"
)

// options are what the server is told, but for users, TLS and the log. What is wrong
// goes to cf.problems.
func options(cf *settings.Config) server.Options {
	o := server.Options{
		Greeting: cf.Str("greeting"), Hosts: cf.Names("host"),
		PublicIP: cf.Str("public-ip"), PublicIPAlways: cf.On("public-ip-always"),
		Guard:       dtp.Guard{DialAnyHost: cf.On("data-any-host"), AcceptAnyHost: cf.On("data-any-host"), LowPorts: cf.On("data-low-ports")},
		IdleTimeout: positive(cf, "idle-timeout"), LoginTimeout: positive(cf, "login-timeout"),
		DataTimeout: positive(cf, "data-timeout"), StallTimeout: positive(cf, "stall-timeout"),
		Grace: positive(cf, "grace"), BanTime: positive(cf, "ban-time"),
		MaxSessions: count(cf, "max-sessions"), MaxSessionsPerIP: count(cf, "max-sessions-per-ip"),
		CommandRate: count(cf, "command-rate"), MaxHashes: cf.Num("max-hashes"),
		UploadInPlace: cf.On("upload-in-place"), ModeZ: cf.On("mode-z"),
	}
	o.Sync = syncs[cf.Str("sync")]
	// To the server 0 is the default, here it is none.
	if o.MaxHashes < 0 {
		cf.Wrong("max-hashes", "%d: it can't be negative; 0 is half of the processors", o.MaxHashes)
	}
	o.HashTimeout = noneIsNegative(cf.Time("hash-timeout"))
	if cf.Time("hash-timeout") < 0 {
		cf.Wrong("hash-timeout", "%v: it can't be negative; 0 is no limit", cf.Time("hash-timeout"))
	}
	o.MaxWaiting = noneIsNegative(count(cf, "max-waiting"))
	o.MaxLoginFailures = noneIsNegative(count(cf, "max-login-failures"))
	o.FailureDelay = noneIsNegative(cf.Time("failure-delay"))
	if cf.Time("failure-delay") < 0 {
		cf.Wrong("failure-delay", "%v: it can't be negative; 0 is at once", cf.Time("failure-delay"))
	}
	if cf.Str("root") == "" {
		cf.Wrong("root", "is empty: name a directory; . is the one where serve is started")
	}
	if strings.ContainsAny(o.Greeting, "\r\n") {
		cf.Wrong("greeting", "%q: it is one line", o.Greeting)
	}
	var err error
	o.Listen = addresses(cf, "listen")
	o.PassivePorts, err = flags.PortRange(cf.Word("passive-ports"), cf.Str("passive-ports"))
	cf.Blame("passive-ports", err)
	o.Rate, err = flags.ByteRate(cf.Word("rate"), cf.Str("rate"))
	cf.Blame("rate", err)
	o.HashRate, err = flags.ByteRate(cf.Word("hash-rate"), cf.Str("hash-rate"))
	cf.Blame("hash-rate", err)
	checkPublicIP(cf, o.PublicIP)
	o.Allow, o.Deny = networks(cf, "allow"), networks(cf, "deny")
	checkWords(cf)
	return o
}

// checkPublicIP finds what is neither an address nor a name. A name that can't be looked
// up now is no mistake, as it may be known later; the server logs it, and config check
// warns of it.
func checkPublicIP(cf *settings.Config, host string) {
	ip, err := netip.ParseAddr(host)
	last := host[strings.LastIndex(host, ".")+1:]
	switch {
	case err == nil && !ip.Is4(), host != "" && err != nil && !hostName.MatchString(host), err != nil && host != "" && strings.Trim(last, "0123456789") == "":
		cf.Wrong("public-ip", "%q: it is an IPv4 address or a host's name; a 227 can name no other", host)
	case cf.Trial && host != "" && err != nil:
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := server.LookupPublicIP(ctx, host); err != nil {
			cf.Warn("%s %s can't be looked up (%s): until it can, clients are told the address that they called", cf.Label("public-ip"), host, ftp.Printable(err.Error()))
		}
	}
}

// hostName is what the name of a host looks like, in ASCII.
var hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// checkWords finds settings that are none of the words they can be.
func checkWords(cf *settings.Config) {
	for _, name := range []string{"tls", "sync", "tls-session-reuse", "log-level", "log-format"} {
		word := cf.Str(name)
		if !slices.Contains(flags.Words[name], word) && (name != "log-format" || word != "") {
			cf.Wrong(name, "%q: %s", word, flags.OneOf(name, word))
		}
	}
}

// syncs are the words of --sync.
var syncs = map[string]server.Sync{"off": server.SyncOff, "file": server.SyncFile, "full": server.SyncFull}

// sameTwice finds an address that stands there twice: nobody can listen there again.
func sameTwice(cf *settings.Config, o server.Options) {
	seen := map[string]bool{}
	for _, l := range []struct {
		name  string
		addrs []string
	}{{"listen", o.Listen}, {"listen-tls", o.ListenTLS}} {
		if !cf.Given(l.name) {
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
				cf.Wrong(l.name, "%s: that address stands there twice", a)
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
func positive(cf *settings.Config, name string) time.Duration {
	d := cf.Time(name)
	if d <= 0 {
		cf.Wrong(name, "%v: it must be longer than nothing", d)
	}
	return d
}

// count is a number that can't be negative.
func count(cf *settings.Config, name string) int {
	n := cf.Num(name)
	if n < 0 {
		cf.Wrong(name, "%d: it can't be negative; 0 is no limit", n)
	}
	return n
}

// addresses are those to listen on.
func addresses(cf *settings.Config, name string) []string {
	all, err := listenAddrs(cf.Word(name), cf.List(name))
	cf.Blame(name, err)
	return all
}

func networks(cf *settings.Config, name string) []netip.Prefix {
	all, err := settings.Networks(cf.List(name))
	if err != nil {
		cf.Wrong(name, "%v", err)
	}
	return all
}

// static are the accounts with their files, which roots opens at each login. What is
// wrong with the root or the home of one user is a warning: it is that user's alone.
func static(cf *settings.Config, roots *roots) server.Static {
	static := server.Static{}
	everybody, err := settings.Doubts(cf.List("accept-upload"))
	if err != nil {
		cf.Wrong("accept-upload", "%v", err)
	}
	for _, a := range cf.Users {
		tree := roots.get(rootOf(cf, a))
		files, lease, err := tree.acquire(roots.ctx)
		if err != nil {
			rootFailed(cf, a, err)
		} else {
			if a.Home != "" {
				if fi, err := files.Stat(a.Home); err != nil || !fi.IsDir() {
					cf.Warn("%s: user %s: the home %q is no directory below %q: sessions begin in /", cf.UserFrom(a, "home"), ftp.Printable(a.Name), a.Home, verb.MaskPassword(rootOf(cf, a)))
				}
			}
			_ = lease.Close()
		}
		writes := a.Writes()
		static[a.Name] = server.User{Password: a.Password, Anyone: a.Anyone, Account: server.Account{
			Open: func(ctx context.Context) (afero.Fs, io.Closer, error) {
				files, lease, err := tree.acquire(ctx)
				if err == nil && !writes { // where nothing may be written, nothing can be
					files = readOnly(files)
				}
				return files, lease, err
			},
			Home: a.Home, Perm: a.Perm, RateDown: a.Down, RateUp: a.Up,
			MaxSessions: a.Sessions, Networks: a.Networks, FXP: a.Fxp,
			Accept: a.Accept | everybody,
		}}
	}
	return static
}

func rootOf(cf *settings.Config, a *settings.Account) string {
	if a.Root != "" {
		return a.Root
	}
	return cf.Str("root")
}

// rootFailed notes what is wrong with the root of a user. The root of all is a mistake
// of whoever started the server, unless other users may have removed it.
func rootFailed(cf *settings.Config, a *settings.Account, err error) {
	spec := rootOf(cf, a)
	err = rootProblem(spec, err)
	_, _, nested := cf.Nesting.Outer(spec)
	switch {
	case verb.ExitCode(err) != verb.ExitUsage && (a.Root != "" || isDirectory(spec) && nested):
		cf.Warn("%s: user %s: %s: logins are refused until it can be opened", cf.UserFrom(a, "root"), ftp.Printable(a.Name), ftp.Printable(err.Error()))
	case a.Root != "":
		cf.Problem(cf.File.At(a.Lines["root"], err))
	case !slices.ContainsFunc(cf.Problems, func(p error) bool { return strings.HasSuffix(p.Error(), err.Error()) }):
		cf.Blame("root", err)
	}
}
