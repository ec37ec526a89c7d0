package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// group is a table of the configuration file, with the flags that say the same: a
// new flag of serve is one more line here, and a key, a variable and a row of
// docs/configuration.md come with it.
type group struct {
	table string // "" is the top of the file
	about string
	flags []cli.Flag
}

// key is the name of a flag in the file: in [tls], --tls-cert is cert and --tls is mode.
func (g group) key(flag string) string {
	switch {
	case g.table == "":
		return flag
	case flag == g.table:
		return g.table + ".mode"
	}
	return g.table + "." + strings.TrimPrefix(flag, g.table+"-")
}

// serveFlags are all flags of serve.
func serveFlags() []cli.Flag {
	all := []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read `FILE` (TOML) for what neither a flag nor the environment says; SIGHUP reads it again", DefaultText: "none"},
		&cli.StringSliceFlag{Name: "user", Usage: "let `NAME:PASSWORD[:PERM]` log in; repeatable; PERM is ro, rw (if it is missing) or drop (upload only); the password may be a hash of miniftp passwd, and one with a colon needs a PERM behind it", DefaultText: "none"},
		&cli.IntFlag{Name: "port", Aliases: []string{"p"}, Usage: "listen on port `N` of this machine only, 127.0.0.1", DefaultText: "2121"},
	}
	for _, g := range serveGroups() {
		all = append(all, g.flags...)
	}
	return all
}

// serveGroups are the flags that are keys of the file, too, in its order.
func serveGroups() []group {
	return []group{
		{about: "What is served, where, and to whom", flags: placeFlags()},
		{table: "limits", about: "How much, how long, and who may knock", flags: limitFlags()},
		{table: "tls", about: "TLS", flags: tlsFlags()},
		{table: "log", about: "What is written about it", flags: logFlags()},
	}
}

func placeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "listen", Usage: "listen on `ADDR`; repeatable, or with commas; :2121 and [::]:2121 are every address, 0.0.0.0:2121 is every one of IPv4", DefaultText: "127.0.0.1:2121"},
		&cli.StringSliceFlag{Name: "listen-tls", Usage: "listen on `ADDR` for clients that begin with TLS (implicit, port 990), beside --listen", DefaultText: "none"},
		&cli.StringFlag{Name: "anonymous", Usage: "what anyone may do, `MODE`: off, ro or rw", DefaultText: "ro where neither a user nor a users file is named, else off"},
		&cli.StringFlag{Name: "users-file", Usage: "more users, a line NAME:PASSWORD[:PERM] each, in `FILE`; miniftp passwd --file writes it", DefaultText: "none"},
		&cli.StringFlag{Name: "greeting", Usage: "greet clients with `TEXT`", DefaultText: "miniftp ready"},
		&cli.StringSliceFlag{Name: "host", Usage: "serve clients that ask for `NAME` by HOST, and refuse other names; repeatable", DefaultText: "any name"},
		&cli.StringFlag{Name: "passive-ports", Usage: "where to listen for data connections: `LO-HI`", DefaultText: "any free port"},
		&cli.StringFlag{Name: "public-ip", Usage: "the `IP|HOST` to announce in 227 replies, behind NAT", DefaultText: "the address that the client called"},
		&cli.BoolFlag{Name: "public-ip-always", Usage: "announce --public-ip to clients on this machine and its private networks too, who otherwise are told the address that they called: for a server behind a proxy or a container that hides where its clients are"},
		&cli.StringSliceFlag{Name: "fxp", Usage: "let user `NAME` copy from server to server: his data connections go to and come from any host, so he can make this server call others, and lose a file to who calls first; repeatable", DefaultText: "nobody"},
		&cli.BoolFlag{Name: "data-any-host", Usage: "let data connections go to and come from any host, not the client's only, whoever is logged in: who wants to misuse this server needs it, copies from server to server need only --fxp"},
		&cli.BoolFlag{Name: "data-low-ports", Usage: "let data connections go to ports below 1024"},
		&cli.BoolFlag{Name: "mode-z", Usage: "let clients have data compressed on the way (MODE Z): for slow lines, as it costs processor time"},
		&cli.BoolFlag{Name: "upload-in-place", Usage: "write uploads to their final name at once, not to a hidden one first"},
		&cli.StringSliceFlag{Name: "accept-upload", Usage: "take an upload for whole though it ended by `WORD`: hang-up (the client closed both connections right after the data, without waiting for the 226) or no-close-notify (under TLS, without TLS's own end); both for devices that always do so, as half a file may then get the final name; repeatable, or with commas", DefaultText: "neither"},
		&cli.StringFlag{Name: "sync", Value: "off", Usage: "what is on the disk when an upload is answered 226, `WHAT`: off (the system writes it within seconds), file (the content) or full (the content and the name: it survives a power failure)"},
		newDuration("grace", 10*time.Second, "", "after a signal to stop, let transfers go on for `DURATION`"),
	}
}

func limitFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "max-sessions", Usage: "at most `N` sessions at once", DefaultText: "no limit"},
		&cli.IntFlag{Name: "max-sessions-per-ip", Usage: "at most `N` sessions at once from one address; of IPv6, from one /64 network, which is what a host has at least", DefaultText: "no limit"},
		&cli.IntFlag{Name: "max-waiting", Value: 1000, Usage: "at most `N` sessions at once that are not logged in; 0 is no limit"},
		&cli.StringSliceFlag{Name: "allow", Usage: "let in `NETWORK` only, such as 192.168.0.0/16; repeatable, or with commas", DefaultText: "everybody"},
		&cli.StringSliceFlag{Name: "deny", Usage: "keep out `NETWORK`, whatever --allow says; repeatable, or with commas", DefaultText: "nobody"},
		&cli.StringFlag{Name: "rate", Usage: "at most `BYTES` per second over all sessions, such as 500k or 2M", DefaultText: "no limit"},
		&cli.IntFlag{Name: "max-hashes", Usage: "compute at most `N` hashes of files at once (HASH, XMD5 and their like); more take turns", DefaultText: "half of the processors"},
		newDuration("hash-timeout", 5*time.Minute, "", "refuse a hash that takes longer than `DURATION`, turns included; 0 is no limit"),
		&cli.StringFlag{Name: "hash-rate", Usage: "read at most `BYTES` per second for all hashes together; --rate does not count them, as a hash does not go over the network", DefaultText: "no limit"},
		&cli.IntFlag{Name: "command-rate", Usage: "read at most `N` commands per second from one session", DefaultText: "no limit"},
		newDuration("idle-timeout", 5*time.Minute, "", "end a session after `DURATION` without a command"),
		newDuration("login-timeout", time.Minute, "", "end a session that has not logged in within `DURATION`"),
		newDuration("data-timeout", 30*time.Second, "", "wait `DURATION` for a data connection to come about"),
		newDuration("stall-timeout", time.Minute, "", "cut a transfer off after `DURATION` without a byte"),
		&cli.IntFlag{Name: "max-login-failures", Value: 10, Usage: "shut a name out at an address, of IPv6 its /64 network, after `N` failed logins, and the address after as many, of which one name counts for three at most; 0 is never"},
		newDuration("ban-time", 10*time.Minute, "", "for `DURATION`"),
		newDuration("failure-delay", time.Second, "", "answer the login after a failed one `DURATION` later, twice as late after each; 0 is at once"),
	}
}

// tlsFlags are what serveTLS reads; --listen-tls goes with them.
func tlsFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "tls", Usage: "protect by TLS, `MODE`: off, optional, required (no login and no data in the clear) or implicit (TLS first on every --listen, and required)", DefaultText: "optional with a certificate, else off"},
		&cli.StringSliceFlag{Name: "tls-cert", Usage: "the certificate in `FILE` (PEM), read again when it changes; repeatable: the name that a client asks for chooses", DefaultText: "none"},
		&cli.StringSliceFlag{Name: "tls-key", Usage: "the private key in `FILE` (PEM), one for each --tls-cert", DefaultText: "that of --tls-cert"},
		&cli.BoolFlag{Name: "tls-self-signed", Usage: "make a certificate, keep it for the next time, and print its fingerprint for --pin"},
		&cli.StringFlag{Name: "tls-session-reuse", Value: "prefer", Usage: "data connections resume the control connection's TLS session, `HOW`: off, prefer or require (which refuses clients that do not resume, or do so by session IDs of TLS 1.2 instead of tickets: curl 7.88 with TLS 1.2, Python's ftplib without session=)"},
		&cli.StringFlag{Name: "tls-client-ca", Usage: "clients must show a certificate that an authority in `FILE` signed", DefaultText: "none"},
		&cli.BoolFlag{Name: "tls-client-user", Usage: "with --tls-client-ca: the common name of the certificate logs that user in without a password"},
		&cli.StringFlag{Name: "tls-fxp-ca", Usage: "in copies from server to server (--fxp) that this end has to be the TLS client of, the other server's certificate must be for its IP address and signed by an authority in `FILE`", DefaultText: "any certificate will do"},
		&cli.BoolFlag{Name: "tls-legacy", Usage: "offer the RSA key exchange and CBC ciphers of TLS 1.2 too, for old devices: such a connection has no forward secrecy: anyone who records it and later gets the key can read it"},
		&cli.BoolFlag{Name: "tls-ccc", Usage: "let clients take TLS off the control connection (CCC), for firewalls that read it"},
	}
}

func logFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "log-level", Value: "info", Usage: "log from `L` on: debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", Usage: "log as `F`: console (lines for people), text (logfmt) or json (with -q nothing else is printed)", DefaultText: "console on a terminal, else text"},
		&cli.StringFlag{Name: "log-file", Usage: "append the log to `FILE`; SIGHUP opens it anew", DefaultText: "standard error"},
		&cli.StringFlag{Name: "xferlog", Usage: "append a line for each file that was transferred, in the format of wu-ftpd's xferlog, to `FILE`; SIGHUP opens it anew", DefaultText: "none"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show commands and replies, passwords masked"},
		&cli.BoolFlag{Name: "explain", Usage: "draw who listened, who dialed, and how the address travelled"},
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "log only what went wrong"},
	}
}

// filePaths are the settings that name files: those of a configuration file are
// looked for beside it.
var filePaths = map[string]bool{
	"users-file": true, "tls-cert": true, "tls-key": true, "tls-client-ca": true, "tls-fxp-ca": true, "log-file": true, "xferlog": true,
}

// restartOnly are the settings that a reload can't change.
var restartOnly = []string{"listen", "listen-tls", "log-format", "verbose", "explain"}
