package settings

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb/flags"
)

// group is a table of the configuration file, with the flags that say the same: a
// new flag of serve is one more line here, and a key, a variable and a row of
// docs/configuration.md come with it.
type group struct {
	Table string // "" is the top of the file
	About string
	Flags []cli.Flag
}

// Key is the name of a flag in the file: in [tls], --tls-cert is cert and --tls is mode.
func (g group) Key(flag string) string {
	switch {
	case g.Table == "":
		return flag
	case flag == g.Table:
		return g.Table + ".mode"
	}
	return g.Table + "." + strings.TrimPrefix(flag, g.Table+"-")
}

// ServeFlags are all flags of serve.
func ServeFlags() []cli.Flag {
	all := []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read settings from `FILE` (TOML); flags and environment variables override them; SIGHUP reads the file again", DefaultText: "none"},
		&cli.StringSliceFlag{Name: "user", Usage: "add a user, `NAME:PASSWORD[:PERM]`; repeatable; PERM is ro, rw (the default) or drop (upload only); the password may be a hash made by miniftp passwd; if it holds a colon, PERM must follow it", DefaultText: "none"},
		&cli.IntFlag{Name: "port", Aliases: []string{"p"}, Usage: "listen on port `N` of this machine only, 127.0.0.1", DefaultText: "2121"},
	}
	for _, g := range ServeGroups() {
		all = append(all, g.Flags...)
	}
	return all
}

// ServeGroups are the flags that are keys of the file, too, in its order.
func ServeGroups() []group {
	all := []group{
		{About: "What is served, where, and to whom", Flags: placeFlags()},
		{Table: "limits", About: "How much, how long, and who may knock", Flags: limitFlags()},
		{Table: "tls", About: "TLS", Flags: TlsFlags()},
		{Table: "log", About: "What is written about it", Flags: logFlags()},
	}
	for _, g := range all {
		flags.Categorize(g.About, g.Flags...)
	}
	return all
}

func placeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "listen", Usage: "listen on `ADDR`; repeatable, or separated by commas; :2121 and [::]:2121 are all addresses, 0.0.0.0:2121 all of IPv4", DefaultText: "127.0.0.1:2121"},
		&cli.StringSliceFlag{Name: "listen-tls", Usage: "listen on `ADDR` for clients that start with TLS (implicit TLS, port 990), in addition to --listen", DefaultText: "none"},
		&cli.StringFlag{Name: "anonymous", Usage: "what users without an account may do, `MODE`: off, ro or rw", DefaultText: "ro if neither a user nor a users file is named, else off"},
		&cli.StringFlag{Name: "users-file", Usage: "read more users from `FILE`, a line NAME:PASSWORD[:PERM] each; miniftp passwd --file writes it", DefaultText: "none"},
		&cli.StringFlag{Name: "greeting", Usage: "greet clients with `TEXT`", DefaultText: "miniftp ready"},
		&cli.StringSliceFlag{Name: "host", Usage: "accept `NAME` in the HOST command and refuse other names; repeatable", DefaultText: "any name"},
		&cli.StringFlag{Name: "passive-ports", Usage: "listen for data connections on ports `LO-HI`", DefaultText: "any free port"},
		&cli.StringFlag{Name: "public-ip", Usage: "announce the address `IP|HOST` in 227 replies, for a server behind NAT", DefaultText: "the address that the client called"},
		&cli.BoolFlag{Name: "public-ip-always", Usage: "announce --public-ip to clients on this machine and in private networks too, instead of the address that they called; for a server behind a proxy or in a container that hides the clients' addresses"},
		&cli.StringSliceFlag{Name: "fxp", Usage: "let user `NAME` copy files from server to server. The data connections of that user may go to and come from any host, so the user can make this server call other hosts, and a stranger who connects first may take a file; repeatable", DefaultText: "nobody"},
		&cli.BoolFlag{Name: "data-any-host", Usage: "let data connections of all users go to and come from any host, not only the client's. This makes the server usable for attacks on others; copies from server to server need only --fxp"},
		&cli.BoolFlag{Name: "data-low-ports", Usage: "let data connections go to ports below 1024"},
		&cli.BoolFlag{Name: "mode-z", Usage: "let clients compress the data of transfers (MODE Z); for slow lines, as it takes processor time"},
		&cli.BoolFlag{Name: "upload-in-place", Usage: "write uploads to their final name, not to a hidden temporary name first"},
		&cli.StringSliceFlag{Name: "accept-upload", Usage: "accept an upload as complete even if it ended by `WORD`: hang-up (the client closed both connections after the data, without waiting for the 226) or no-close-notify (the TLS connection was not closed properly). Only for devices that always do so: half a file may get its final name; repeatable, or separated by commas", DefaultText: "neither"},
		&cli.StringFlag{Name: "sync", Value: "off", Usage: "what must be on the disk before an upload is answered 226, `WHAT`: off (nothing; the system writes it within seconds), file (the content) or full (content and name, which survive a power failure)"},
		flags.Duration("grace", 10*time.Second, "", "after a signal to stop, let running transfers continue for `DURATION`"),
	}
}

func limitFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "max-sessions", Usage: "allow at most `N` sessions at once", DefaultText: "no limit"},
		&cli.IntFlag{Name: "max-sessions-per-ip", Usage: "allow at most `N` sessions at once from one address (IPv6: from one /64 network)", DefaultText: "no limit"},
		&cli.IntFlag{Name: "max-waiting", Value: 1000, Usage: "allow at most `N` sessions at once that are not logged in; 0 means no limit"},
		&cli.StringSliceFlag{Name: "allow", Usage: "accept clients from `NETWORK` only, such as 192.168.0.0/16; repeatable, or separated by commas", DefaultText: "everybody"},
		&cli.StringSliceFlag{Name: "deny", Usage: "refuse clients from `NETWORK`, even if --allow names it; repeatable, or separated by commas", DefaultText: "nobody"},
		&cli.StringFlag{Name: "rate", Usage: "limit all sessions together to `BYTES` per second, such as 500k, 2M or 2MiB", DefaultText: "no limit"},
		&cli.IntFlag{Name: "max-hashes", Usage: "compute at most `N` hashes of files at once (HASH, XMD5 and similar commands); others wait", DefaultText: "half of the processors"},
		flags.Duration("hash-timeout", 5*time.Minute, "", "refuse a hash that takes longer than `DURATION`, waiting included; 0 means no limit"),
		&cli.StringFlag{Name: "hash-rate", Usage: "limit the reading for all hashes together to `BYTES` per second; --rate does not count it", DefaultText: "no limit"},
		&cli.IntFlag{Name: "command-rate", Usage: "accept at most `N` commands per second from one session", DefaultText: "no limit"},
		flags.Duration("idle-timeout", 5*time.Minute, "", "end a session after `DURATION` without a command"),
		flags.Duration("login-timeout", time.Minute, "", "end a session that has not logged in within `DURATION`"),
		flags.Duration("data-timeout", 30*time.Second, "", "wait at most `DURATION` for a data connection to be established"),
		flags.Duration("stall-timeout", time.Minute, "", "abort a transfer after `DURATION` without any data"),
		&cli.IntFlag{Name: "max-login-failures", Value: 10, Usage: "ban a user name at an address (IPv6: a /64 network) after `N` failed logins, and the address itself after N, of which one name counts for three at most; 0 means never"},
		flags.Duration("ban-time", 10*time.Minute, "", "how long a ban by --max-login-failures lasts, `DURATION`"),
		flags.Duration("failure-delay", time.Second, "", "delay the answer to a login that follows a failed one by `DURATION`, twice as long after each failure; 0 means no delay"),
	}
}

// TlsFlags are what serveTLS reads; --listen-tls goes with them.
func TlsFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "tls", Usage: "when to use TLS, `MODE`: off, optional, required (no login and no data without it) or implicit (clients start with TLS on every --listen)", DefaultText: "optional with a certificate, else off"},
		&cli.StringSliceFlag{Name: "tls-cert", Usage: "use the certificate in `FILE` (PEM), which is read again when it changes; repeatable: the name that a client asks for selects one", DefaultText: "none"},
		&cli.StringSliceFlag{Name: "tls-key", Usage: "use the private key in `FILE` (PEM); one for each --tls-cert", DefaultText: "that of --tls-cert"},
		&cli.BoolFlag{Name: "tls-self-signed", Usage: "make a certificate, keep it for the next time, and print its fingerprint for --pin"},
		&cli.StringFlag{Name: "tls-session-reuse", Value: "prefer", Usage: "whether data connections must resume the TLS session of the control connection, `HOW`: off, prefer or require. With require, clients that do not resume are refused, such as Python's ftplib without session=, and curl 7.88 with TLS 1.2, which uses session IDs instead of tickets"},
		&cli.StringFlag{Name: "tls-client-ca", Usage: "require client certificates signed by an authority in `FILE`", DefaultText: "none"},
		&cli.BoolFlag{Name: "tls-client-user", Usage: "with --tls-client-ca: log the user named by the certificate's common name in without a password"},
		&cli.StringFlag{Name: "tls-fxp-ca", Usage: "when this server is the TLS client in a copy from server to server (--fxp), require a certificate of the other server for its IP address, signed by an authority in `FILE`", DefaultText: "any certificate will do"},
		&cli.BoolFlag{Name: "tls-legacy", Usage: "also offer the RSA key exchange and CBC ciphers of TLS 1.2, for old devices. Such connections have no forward secrecy: anyone who records one and later gets the key can read it"},
		&cli.BoolFlag{Name: "tls-ccc", Usage: "let clients end TLS on the control connection (CCC), for firewalls that read it"},
	}
}

func logFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "log-level", Value: "info", Usage: "log messages of level `L` and above: debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", Usage: "write the log as `F`: console (lines for people), text (logfmt) or json (with -q nothing else is printed)", DefaultText: "console on a terminal, else text"},
		&cli.StringFlag{Name: "log-file", Usage: "append the log to `FILE`; SIGHUP reopens it", DefaultText: "standard error"},
		&cli.StringFlag{Name: "xferlog", Usage: "append a line for each transferred file to `FILE`, in the format of wu-ftpd's xferlog; SIGHUP reopens it", DefaultText: "none"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show commands and replies, passwords masked"},
		&cli.BoolFlag{Name: "explain", Usage: "draw who listened, who dialed, and how the address was announced"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "log only what went wrong"},
	}
}

// filePaths are the settings that name files: those of a configuration file are
// looked for beside it.
var filePaths = map[string]bool{
	"users-file": true, "tls-cert": true, "tls-key": true, "tls-client-ca": true, "tls-fxp-ca": true, "log-file": true, "xferlog": true,
}

// RestartOnly are the settings that a reload can't change.
var RestartOnly = []string{"listen", "listen-tls", "log-format", "verbose", "explain"}
