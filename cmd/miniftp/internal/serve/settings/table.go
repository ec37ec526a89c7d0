package settings

import (
	"strings"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/acmecert"
	"miniftp/cmd/miniftp/internal/outbox"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// group is a table of the configuration file and a section of the help.
type group struct {
	table, about string // table "" is the top of the file
	own          string // the key in the table of the setting that has the table's name
}

var (
	placeGroup = group{table: "", about: "What is served, where, and to whom"}
	limitGroup = group{table: "limits", about: "Limits, and which clients may connect"}
	authGroup  = group{table: "auth", about: "Who may log in, besides the users of the configuration", own: "sources"}
	gateGroup  = group{table: "gate", about: "Checks of uploads", own: "checkers"}
	hookGroup  = group{table: "hooks", about: "Telling programs and web services what has happened"}
	tlsGroup   = group{table: "tls", about: "TLS", own: "mode"}
	logGroup   = group{table: "log", about: "Logs"}
	watchGroup = group{table: "watch", about: "Watching the server"}
)

// row describes one setting. Its flag, environment variable, key in the file, help, manual page,
// and entries in docs/configuration.md and docs/miniftp.toml are made from it. To add a setting, add
// a field to Settings and a row.
type row struct {
	value fieldValue // its field and default
	name  string     // of the flag; the key and the variable are made from it
	doc   string     // what it does, in one line
	long  string     // more about it: a sentence, or words to follow doc after a semicolon

	short     []string // other names of the flag
	otherwise string   // what having no value means
	example   string   // TOML for docs/miniftp.toml, if the default has none

	words    []string     // the allowed values, nil for any
	commas   bool         // each text is a list of words, separated by commas
	zero     string       // what 0 means, if that differs from otherwise
	path     bool         // the value names files, relative to the configuration file
	noPath   string       // a value that names no file, although path is set
	restart  bool         // a reload does not change it
	argument bool         // it is the argument of serve rather than a flag
	lifts    []ftp.Reason // the refusals that changing it would lift

	group group
}

// usage returns the text for the help, doc and long together.
func (r *row) usage() string {
	switch {
	case r.long == "":
		return r.doc
	case unicode.IsUpper(rune(r.long[0])) && unicode.IsLower(rune(r.long[1])): // a sentence
		return r.doc + ". " + r.long
	}
	return r.doc + "; " + r.long
}

// key returns the dotted key in the file: tls.cert for --tls-cert, hooks.events for --hook-events, tls.mode for --tls, and
// gate.checkers for --gate.
func (r *row) key() string {
	table := r.group.table
	switch {
	case table == "":
		return r.name
	case r.name == table:
		return table + "." + r.group.own
	}
	name := strings.TrimPrefix(r.name, table+"-")
	return table + "." + strings.TrimPrefix(name, strings.TrimSuffix(table, "s")+"-")
}

// The flags of serve that are not settings.
const (
	configFlag = "config"
	userFlag   = "user"
	portFlag   = "port"
)

// Flags returns the flags of serve.
func Flags() []cli.Flag {
	all := []cli.Flag{
		&cli.StringFlag{Name: configFlag, Usage: "read settings from `FILE` (TOML); flags and environment variables override them; SIGHUP reads the file again; s3://BUCKET/PATH is read again when it changes", DefaultText: "none"},
		&cli.StringSliceFlag{Name: userFlag, Usage: "add a user, `NAME:PASSWORD[:PERM]`; repeatable; PERM is ro, rw (the default) or drop (upload only); the password may be a hash made by miniftp passwd; after a password with a colon, PERM is required", DefaultText: "none"},
		&cli.IntFlag{Name: portFlag, Aliases: []string{"p"}, Usage: "listen on port `N` of 127.0.0.1, which only this machine can reach", DefaultText: "2121"},
	}
	for _, r := range table(&Settings{}) {
		if !r.argument {
			all = append(all, r.value.flag(r))
		}
	}
	return all
}

// decides maps each reason for a refusal to the setting that decides about it.
var decides = map[ftp.Reason]string{}

func init() {
	for _, r := range table(&Settings{}) {
		if r.words != nil {
			flags.Words[r.name] = r.words // for completion, and for "did you mean"
		}
		for _, reason := range r.lifts {
			decides[reason] = r.name
		}
	}
	for _, k := range userKeys(&Account{}) {
		if k.lifts != ftp.ReasonOther {
			decides[k.lifts] = "users." + k.name
		}
	}
}

// Deciding returns the name of the setting that decides whether something is refused for reason r: that
// of a flag without dashes, or users.KEY for a key of [users.NAME]. It returns "" if no setting does.
func Deciding(r ftp.Reason) string { return decides[r] }

// ControlOff is the value of --control for no socket.
const ControlOff = "off"

// ACMEOff is the value of --tls-acme-http and --tls-acme-alpn for no listener.
const ACMEOff = "off"

const acceptUpload = "accept-upload" // both a setting and a key of a user

const compat = "compat" // the same

// Device is the value of --compat for cameras, scanners and the like.
const Device = "device"

// doubts holds the allowed words of --accept-upload.
var doubts = []string{"hang-up", "no-close-notify"}

// table returns the rows of all settings, in the order of the file. The rows set the fields of s.
func table(s *Settings) (all []*row) {
	for _, g := range []struct {
		group
		rows []row
	}{
		{placeGroup, placeRows(s)},
		{limitGroup, limitRows(s)},
		{authGroup, authRows(s)},
		{gateGroup, gateRows(s)},
		{tlsGroup, tlsRows(s)},
		{logGroup, logRows(s)},
		{watchGroup, watchRows(s)},
		{hookGroup, hookRows(s)},
	} {
		for _, r := range g.rows {
			r.group = g.group
			all = append(all, &r)
		}
	}
	return all
}

func placeRows(s *Settings) []row {
	return []row{
		{value: text(&s.Root, "."), argument: true, path: true, name: "root", doc: "what is served: a directory, a bucket (s3://BUCKET/PATH), an archive (zip:FILE, tar:FILE), mem:// (files in memory), or the tree of another server (ftp://, ftpes://, ftps://); {user} in the path of a directory or bucket is the name of the user, and {group} that of the group, so that each has an own directory, which is made at the first login", otherwise: "the directory where serve is started", example: `"/srv/ftp"`},
		{value: list(&s.Listen), restart: true, name: "listen", doc: "listen on `ADDR`", long: "repeatable, or separated by commas; :2121 and [::]:2121 mean all addresses, 0.0.0.0:2121 all IPv4 addresses", otherwise: defaultListen, example: `["` + defaultListen + `"]`},
		{value: list(&s.ListenTLS), restart: true, name: "listen-tls", doc: "listen on `ADDR` for clients that start with TLS (implicit TLS, port 990), in addition to --listen", otherwise: "none", example: `[":990"]`},
		{value: text(&s.Anonymous, ""), name: "anonymous", doc: "let clients without an account log in as `MODE` says: off (not at all), ro (may read) or rw (may also write)", words: []string{"off", "ro", "rw"}, otherwise: "ro if neither a user nor a users file is given, else off", example: `"off"`},
		{value: text(&s.UsersFile, ""), path: true, name: "users-file", doc: "read more users from `FILE`, one NAME:PASSWORD[:PERM] per line", long: "miniftp passwd --file writes such files; s3://BUCKET/PATH is read again when it changes", otherwise: "none", example: `"users"`},
		{value: text(&s.Greeting, ""), name: "greeting", doc: "greet clients with `TEXT`", otherwise: "miniftp ready", example: `"ftp.example.org: no uploads, please"`},
		{value: list(&s.Host), name: "host", doc: "accept `NAME` in the HOST command and refuse other names", long: "repeatable", otherwise: "any name", example: `["ftp.example.org"]`},
		{value: text(&s.PassivePorts, ""), lifts: []ftp.Reason{ftp.ReasonPassivePorts}, name: "passive-ports", doc: "listen for data connections on ports `LO-HI`", long: "when all are in use, clients of different addresses share ports, and those of one address take turns; LO-HI=LO-HI announces the second range in place of the first, one port for the other, and LO-HI=@FILE the range in a file, which SIGHUP reads again; for routers and containers that map the ports", otherwise: "any free port", example: `"40000-40100"`},
		{value: text(&s.PublicIP, ""), name: "public-ip", doc: "announce the address `IP|HOST` in 227 replies, for a server behind NAT", otherwise: "the address that the client connected to", example: `"203.0.113.7"`},
		{value: toggle(&s.PublicIPAlways), name: "public-ip-always", doc: "announce --public-ip to clients on this machine and in private networks too, instead of the address that they connected to", long: "for a server behind a proxy or in a container that hides the clients' addresses"},
		{value: list(&s.PublicIPFor), name: "public-ip-for", doc: "announce ADDRESS to the clients of a network, as `NETWORK=ADDRESS` says: an IPv4 address, a host, or as-dialed (the address that they connected to); the first network that fits decides, before --public-ip", long: "repeatable", otherwise: "none", example: `["10.0.0.0/8=10.1.2.3", "192.168.0.0/16=as-dialed"]`},
		{value: list(&s.ProxyProtocol), name: "proxy-protocol", doc: "expect a PROXY header (version 1 or 2) at the beginning of connections from the balancers in `NETWORK`", long: "The client is then who the header says; connections from there without a header are closed; repeatable, or separated by commas", otherwise: "nowhere", example: `["10.0.0.5", "10.0.0.6"]`},
		{value: list(&s.FXP), lifts: []ftp.Reason{ftp.ReasonFXP}, name: "fxp", doc: "let user `NAME` copy files from server to server", long: "The data connections of that user may go to and come from any host, so the user can make this server connect to other hosts, and a stranger who connects first may get the file; repeatable", otherwise: "nobody", example: `["alice"]`},
		{value: toggle(&s.DataAnyHost), lifts: []ftp.Reason{ftp.ReasonForeignHost}, name: "data-any-host", doc: "let data connections of all users go to and come from any host, not only the client's", long: "This makes the server usable for attacks on others; copies from server to server need only --fxp"},
		{value: toggle(&s.DataLowPorts), lifts: []ftp.Reason{ftp.ReasonLowPort}, name: "data-low-ports", doc: "let data connections go to ports below 1024"},
		{value: toggle(&s.ModeZ), name: "mode-z", doc: "let clients compress the data of transfers (MODE Z)", long: "useful on slow lines only, because it takes processor time"},
		{value: toggle(&s.UploadInPlace), name: "upload-in-place", doc: "write uploads to their final name, not to a hidden temporary name first"},
		{value: list(&s.AcceptUpload), name: acceptUpload, words: doubts, commas: true, doc: "accept an upload as complete even if it ended with `WORD`: hang-up (the client closed both connections after the data, without waiting for the 226) or no-close-notify (the TLS connection was not closed properly)", long: "Use it only for devices that always do so, because half a file may get its final name; repeatable, or separated by commas", otherwise: "neither", example: `["hang-up"]`},
		{value: text(&s.Compat, "none"), name: compat, words: []string{"none", Device}, doc: "adapt to the clients of users who have no compat of their own, as `KIND` says: none, or device (cameras, scanners, controllers of machines: uploads make missing directories, get a numbered name if the user may not replace the file, and count as complete even if they end badly)", long: "See docs/devices.md"},
		{value: text(&s.Sync, "off"), name: "sync", words: []string{"off", "file", "full"}, doc: "have `WHAT` on disk before an upload gets its 226 reply: off (nothing; the system writes it within seconds), file (the content) or full (content and name, so that the file survives a power failure)"},
		{value: text(&s.SharedState, ""), restart: true, name: "shared-state", doc: "share quotas, the max-sessions of users, and bans with other servers of the same users, through the bucket `s3://BUCKET/PREFIX`", otherwise: "each server has its own", example: `"s3://ftp/state"`},
		{value: text(&s.Control, ""), restart: true, path: true, noPath: ControlOff, name: "control", doc: "make the socket `PATH`, over which miniftp who, kick, drain, reload, ban and events manage the server", long: "off means none", otherwise: "a socket in the runtime directory of the user or service or, without one, in the state directory", example: `"/run/miniftp/control.sock"`},
		{value: text(&s.RunAs, ""), restart: true, name: "run-as", doc: "become `USER[:GROUP]` before any client is served; for root only, who is needed for ports below 1024", long: "Listeners, logs and keys are opened before; everything else is read and written as USER. Without GROUP, the user has all their groups", otherwise: "the user who starts the server", example: `"ftp"`},
		{value: span(&s.Grace, 10*time.Second), name: "grace", doc: "after a signal to stop, let running transfers continue for `DURATION`"},
		{value: span(&s.DrainDelay, 0), name: "drain-delay", zero: "they close at once", doc: "after miniftp drain, keep the listeners open for `DURATION`, while /readyz (see --metrics) is already 503", long: "for balancers that ask /readyz; 0 means that the listeners close at once"},
	}
}

func limitRows(s *Settings) []row {
	return []row{
		{value: number(&s.MaxSessions, 0), lifts: []ftp.Reason{ftp.ReasonSessions}, name: "max-sessions", doc: "allow at most `N` sessions at once", otherwise: "no limit", example: "200"},
		{value: number(&s.MaxSessionsPerIP, 0), lifts: []ftp.Reason{ftp.ReasonSessionsPerAddress}, name: "max-sessions-per-ip", doc: "allow at most `N` sessions at once from one address (IPv6: from one /64 network)", otherwise: "no limit", example: "10"},
		{value: number(&s.MaxWaiting, 1000), lifts: []ftp.Reason{ftp.ReasonWaiting}, name: "max-waiting", zero: "no limit", doc: "allow at most `N` sessions at once that are not logged in", long: "0 means no limit"},
		{value: list(&s.Allow), lifts: []ftp.Reason{ftp.ReasonNotAllowed}, name: "allow", doc: "accept clients from `NETWORK` only, such as 192.168.0.0/16", long: "repeatable, or separated by commas", otherwise: "everybody", example: `["192.168.0.0/16", "fd00::/8"]`},
		{value: list(&s.Deny), lifts: []ftp.Reason{ftp.ReasonDenied}, name: "deny", doc: "refuse clients from `NETWORK`, even if --allow names it", long: "repeatable, or separated by commas", otherwise: "nobody", example: `["192.168.66.0/24"]`},
		{value: text(&s.Rate, ""), name: "rate", doc: "limit all sessions together to `BYTES` per second, such as 500k, 2M or 2MiB", otherwise: "no limit", example: `"20M"`},
		{value: number(&s.MaxHashes, 0), name: "max-hashes", doc: "compute at most `N` hashes of files at once (HASH, XMD5 and similar commands)", long: "further ones wait", otherwise: "half of the processors", example: "2"},
		{value: span(&s.HashTimeout, 5*time.Minute), lifts: []ftp.Reason{ftp.ReasonHashTimeout}, name: "hash-timeout", zero: "no limit", doc: "refuse a hash that takes longer than `DURATION`, waiting included", long: "0 means no limit"},
		{value: text(&s.HashRate, ""), name: "hash-rate", doc: "limit the reading for all hashes together to `BYTES` per second", long: "--rate does not include it", otherwise: "no limit", example: `"100M"`},
		{value: number(&s.CommandRate, 0), lifts: []ftp.Reason{ftp.ReasonCommandRate}, name: "command-rate", doc: "accept at most `N` commands per second from one session", otherwise: "no limit", example: "20"},
		{value: span(&s.IdleTimeout, 5*time.Minute), lifts: []ftp.Reason{ftp.ReasonIdleTimeout}, name: "idle-timeout", doc: "end a session after `DURATION` without a command"},
		{value: span(&s.LoginTimeout, time.Minute), lifts: []ftp.Reason{ftp.ReasonLoginTimeout}, name: "login-timeout", doc: "end a session that has not logged in within `DURATION`"},
		{value: span(&s.DataTimeout, 30*time.Second), name: "data-timeout", doc: "wait at most `DURATION` for a data connection to be established"},
		{value: span(&s.StallTimeout, time.Minute), name: "stall-timeout", doc: "abort a transfer after `DURATION` without any data"},
		{value: number(&s.MaxLoginFailures, 10), lifts: []ftp.Reason{ftp.ReasonLoginFailures}, name: "max-login-failures", zero: "no limit", doc: "after `N` failed logins with a user name from one address (IPv6: from one /64 network), ban that name there; after N failed logins with any names, of which each name counts at most three times, ban the address", long: "0 means never"},
		{value: span(&s.BanTime, 10*time.Minute), lifts: []ftp.Reason{ftp.ReasonBanned}, name: "ban-time", doc: "let a ban by --max-login-failures last `DURATION`"},
		{value: span(&s.FailureDelay, time.Second), name: "failure-delay", zero: "no delay", doc: "after a failed login, delay the reply to the next login by `DURATION`, doubled after each further failure", long: "0 means no delay"},
	}
}

func authRows(s *Settings) []row {
	return []row{
		{value: list(&s.Auth), lifts: []ftp.Reason{ftp.ReasonLoginUnchecked}, name: "auth", doc: "ask `SOURCE` who may log in: file (the users of the configuration, the users file and --user), exec:PROGRAM, or https://HOST/PATH (a web service; http:// only on this machine)", long: "repeatable; the sources are asked in this order, until one knows the user; see docs/auth.md", otherwise: "file", example: `["file", "exec:/usr/local/bin/check-login", "https://id.example.org/login"]`},
		{value: span(&s.AuthTimeout, 5*time.Second), name: "auth-timeout", doc: "wait at most `DURATION` for the answer of a source", long: "must be less than --login-timeout"},
		{value: span(&s.AuthCache, time.Minute), name: "auth-cache", zero: "each login is asked about", doc: "remember for `DURATION` that a source has accepted a login, and do not ask again", long: "0 means not at all"},
		{value: text(&s.AuthSecretFile, ""), path: true, name: "auth-secret-file", doc: "sign requests to web services with the secret in `FILE`, at least 16 bytes", otherwise: "none; https:// and http:// need one", example: `"/etc/miniftp/auth-secret"`},
	}
}

func gateRows(s *Settings) []row {
	return []row{
		{value: list(&s.Gate), lifts: []ftp.Reason{ftp.ReasonGate, ftp.ReasonUnchecked}, name: "gate", doc: "check each upload before it becomes visible, by `CHECKER`: clamd:SOCKET or clamd:HOST:PORT (ClamAV), exec:PROGRAM, or https://HOST/PATH (a webhook)", long: "repeatable; all are asked, in this order; see docs/gate.md", otherwise: "uploads are not checked", example: `["clamd:/run/clamav/clamd.ctl", "exec:/usr/local/bin/check", "https://hooks.example.org/check"]`},
		{value: span(&s.GateTimeout, time.Minute), name: "gate-timeout", doc: "give up the check of an upload after `DURATION`, waiting included; it stays hidden and can be checked again"},
		{value: number(&s.GateParallel, 8), name: "gate-parallel", doc: "check at most `N` uploads at once; others wait for their turn"},
		{value: text(&s.GateQuarantine, ""), path: true, name: "gate-quarantine", doc: "keep refused uploads in the directory `DIR`, which must not be served", otherwise: "they are removed", example: `"/var/lib/miniftp/quarantine"`},
		{value: text(&s.GateSize, "1G"), name: "gate-quarantine-size", doc: "keep at most `BYTES` in the quarantine; beyond that, refused uploads are removed", long: "0 means no limit"},
		{value: text(&s.GateSecretFile, ""), path: true, name: "gate-secret-file", doc: "sign the requests to webhooks with the secret in `FILE`, at least 16 bytes", otherwise: "they are not signed", example: `"/etc/miniftp/gate-secret"`},
	}
}

func tlsRows(s *Settings) []row {
	return []row{
		{value: text(&s.TLS, ""), lifts: []ftp.Reason{ftp.ReasonTLSRequired}, name: "tls", words: []string{"off", "optional", "required", "implicit"}, doc: "use TLS as `MODE` says: off, optional, required (no login and no data without it) or implicit (clients start with TLS on every --listen)", otherwise: "optional with a certificate, else off", example: `"required"`},
		{value: list(&s.TLSCert), path: true, name: "tls-cert", doc: "use the certificate in `FILE` (PEM), which is read again when it changes", long: "repeatable; the host name in the client's TLS handshake selects one", otherwise: "none", example: `["/etc/miniftp/cert.pem"]`},
		{value: list(&s.TLSKey), path: true, name: "tls-key", doc: "use the private key in `FILE` (PEM)", long: "one for each --tls-cert", otherwise: "the key in the file of --tls-cert", example: `["/etc/miniftp/key.pem"]`},
		{value: toggle(&s.TLSSelfSigned), name: "tls-self-signed", doc: "make a certificate, keep it for later runs, and print its fingerprint for --pin"},
		{value: list(&s.TLSACME), name: "tls-acme", doc: "get a certificate for `HOST` from an authority by ACME, and renew it", long: "You thereby agree to the terms of the authority; clients that name no host get the certificate of the first HOST; repeatable, or separated by commas", otherwise: "none", example: `["ftp.example.org"]`},
		{value: text(&s.TLSACMEEmail, ""), restart: true, name: "tls-acme-email", doc: "tell the authority of --tls-acme that `ADDRESS` is responsible", otherwise: "none", example: `"admin@example.org"`},
		{value: text(&s.TLSACMEDir, acmecert.DefaultDirectory), restart: true, name: "tls-acme-directory", doc: "use the authority whose ACME directory is at `URL`", long: "The default is Let's Encrypt"},
		{value: text(&s.TLSACMECA, ""), restart: true, path: true, name: "tls-acme-ca", doc: "trust --tls-acme-directory if an authority in `FILE` signed its certificate", otherwise: "the authorities of the system", example: `"/etc/miniftp/authority.pem"`},
		{value: text(&s.TLSACMEHTTP, ":80"), restart: true, name: "tls-acme-http", doc: "with --tls-acme: answer the authority on `ADDR` (HTTP-01)", long: "It connects to port 80 of each HOST, from which a router or a web server may forward to ADDR; nothing else is answered there; off means no listener"},
		{value: text(&s.TLSACMEALPN, ACMEOff), restart: true, name: "tls-acme-alpn", doc: "with --tls-acme: answer the authority on `ADDR` (TLS-ALPN-01)", long: "It connects to port 443 of each HOST; it is tried before --tls-acme-http"},
		{value: text(&s.TLSSessionReuse, "prefer"), lifts: []ftp.Reason{ftp.ReasonNotResumed}, name: "tls-session-reuse", words: []string{"off", "prefer", "require"}, doc: "make data connections resume the TLS session of the control connection, as `HOW` says: off, prefer or require", long: "With require, clients that do not resume are refused, such as Python's ftplib without session=, and curl 7.88 with TLS 1.2, which uses session IDs instead of tickets"},
		{value: text(&s.TLSClientCA, ""), lifts: []ftp.Reason{ftp.ReasonClientCertificate}, path: true, name: "tls-client-ca", doc: "require client certificates signed by an authority in `FILE`", otherwise: "none", example: `"/etc/miniftp/clients.pem"`},
		{value: toggle(&s.TLSClientUser), name: "tls-client-user", doc: "with --tls-client-ca: the common name of a client's certificate is the user, who needs no password"},
		{value: text(&s.TLSFXPCA, ""), path: true, name: "tls-fxp-ca", doc: "when this server is the TLS client in a copy from server to server (--fxp), require a certificate of the other server for its IP address, signed by an authority in `FILE`", otherwise: "any certificate is accepted", example: `"/etc/miniftp/servers.pem"`},
		{value: toggle(&s.TLSLegacy), name: "tls-legacy", doc: "also offer the RSA key exchange and CBC ciphers of TLS 1.2, for old devices", long: "Such connections have no forward secrecy: anyone who records one and later gets the key can read it"},
		{value: list(&s.TLSOldFor), name: "tls-old-for", doc: "let clients of `NETWORK` use TLS 1.0 and 1.1, and all ciphers but RC4, for old devices", long: "Such connections can be attacked; most of these devices need a certificate with an RSA key; repeatable, or separated by commas", otherwise: "nobody", example: `["192.168.7.0/24"]`},
		{value: toggle(&s.TLSCCC), lifts: []ftp.Reason{ftp.ReasonCCC}, name: "tls-ccc", doc: "let clients end TLS on the control connection (CCC), for firewalls that must read it"},
	}
}

func logRows(s *Settings) []row {
	return []row{
		{value: text(&s.LogLevel, "info"), name: "log-level", words: []string{"debug", "info", "warn", "error"}, doc: "log messages of level `L` and above: debug, info, warn or error"},
		{value: text(&s.LogFormat, ""), restart: true, name: "log-format", words: []string{"console", "text", "json"}, doc: "write the log as `F`: console (lines for people), text (logfmt) or json (with -q nothing else is printed)", otherwise: "console on a terminal, else text", example: `"json"`},
		{value: text(&s.LogFile, ""), path: true, name: "log-file", doc: "append the log to `FILE`", long: "SIGHUP reopens it", otherwise: "standard error", example: `"/var/log/miniftp/log"`},
		{value: text(&s.Xferlog, ""), path: true, name: "xferlog", doc: "append a line for each transferred file to `FILE`, in the format of wu-ftpd's xferlog", long: "SIGHUP reopens it", otherwise: "none", example: `"/var/log/miniftp/xferlog"`},
		{value: toggle(&s.LogSHA256), name: "log-sha256", doc: "add the SHA-256 of each uploaded file to its line in the log", long: "This takes processor time; an upload that was resumed or appended is read again before its reply"},
		{value: toggle(&s.Verbose), restart: true, short: []string{"v"}, name: "verbose", doc: "show commands and replies, passwords masked"},
		{value: toggle(&s.Explain), restart: true, name: "explain", doc: "draw each connection: which side listened, which dialed, and how the address was announced"},
		{value: toggle(&s.Quiet), short: []string{"q"}, name: "quiet", doc: "log only warnings and errors, and print nothing else"},
	}
}

func watchRows(s *Settings) []row {
	return []row{
		{value: text(&s.Metrics, ""), restart: true, name: "metrics", doc: "answer HTTP requests on `ADDR`: /metrics for Prometheus, /healthz (200 while the server runs) and /readyz (200 while it admits sessions)", long: "Whoever can reach ADDR can read them, without a password; :9100 means all addresses", otherwise: "none", example: `"127.0.0.1:9100"`},
		{value: text(&s.Console, ""), restart: true, name: "console", doc: "show the live page on `ADDR` to browsers: sessions, transfers, throughput and the connections of each session; it can end sessions", long: "Every user of this machine can open it at a loopback address; at others it needs a token", otherwise: "none", example: `"127.0.0.1:9101"`},
		{value: text(&s.ConsoleTokenFile, ""), restart: true, path: true, name: "console-token-file", doc: "let only those see the live page who know the token in `FILE`, at least 16 characters", otherwise: "none for --console at a loopback address, else a random token, which is in the URL that serve prints", example: `"/etc/miniftp/console-token"`},
	}
}

func hookRows(s *Settings) []row {
	return []row{
		{value: list(&s.Hook), restart: true, name: "hook", doc: "deliver events to `RECEIVER`, at least once: exec:/PATH (a program that is run for each event) or https://HOST/PATH (a signed POST; http:// only for this machine)", long: "events are kept on disk until they are delivered; up to 8 receivers, repeatable", otherwise: "none", example: `["exec:/usr/local/bin/on-upload", "https://app.example.org/ftp"]`},
		{value: list(&s.HookEvents), words: outbox.Kinds, commas: true, name: "hook-events", doc: "deliver events of these `KINDS`: upload, download, delete, rename, mkdir, rmdir, login", long: "repeatable, or separated by commas", otherwise: "upload", example: `["upload", "rename", "delete"]`},
		{value: text(&s.HookSecretFile, ""), path: true, name: "hook-secret-file", doc: "sign requests to web services with the secret in `FILE`, at least 16 bytes", long: "The file is read for each delivery", otherwise: "none; https:// and http:// need one", example: `"/etc/miniftp/hook-secret"`},
		{value: text(&s.HookOutbox, ""), restart: true, path: true, name: "hook-outbox", doc: "keep events in the directory `DIR` until they are delivered", otherwise: "outbox in the state directory", example: `"/var/lib/miniftp/outbox"`},
		{value: text(&s.HookOutboxSize, "100M"), restart: true, name: "hook-outbox-size", doc: "let events that are not delivered take up to `BYTES` on the disk, at least 1M", long: "When they do, uploads and other changes that would be events are refused with 452"},
	}
}
