package peers

import (
	"crypto/rsa"
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// TLSMode says how a server speaks TLS.
type TLSMode int

const (
	// Off is no TLS: the server refuses AUTH.
	Off TLSMode = iota
	// Explicit begins with AUTH TLS (RFC 4217). The server refuses a login before
	// it, and data connections without PROT P.
	Explicit
	// Implicit begins with the handshake, before the greeting. It refuses data
	// connections after PROT C; before any PROT it depends on the server.
	Implicit
)

// Can reports whether the server called name can be started with these options, if
// it is installed. All can do Explicit, and be held to TLS 1.2 or 1.3. Implicit is
// missing in pure-ftpd, whose stock build leaves it out. RequireReuse is a matter
// of vsftpd and proftpd only: pure-ftpd gave it up and pyftpdlib never had it. What
// says something of TLS that is Off can no server do.
func Can(name string, opts Options) bool {
	for _, k := range kinds {
		if k.name == name {
			return k.can(opts)
		}
	}
	return false
}

func (k kind) can(opts Options) bool {
	if k.narrow && (opts.TLS != Off || opts.IPv6 || opts.Deflate || opts.FXP || opts.PerHost > 0 || opts.PublicIP != "") {
		return false
	}
	switch opts.TLSVersion {
	case 0, tls.VersionTLS12, tls.VersionTLS13:
	default:
		return false
	}
	switch opts.TLS {
	case Off:
		return opts.TLSVersion == 0 && !opts.RequireReuse
	case Explicit:
		return !opts.RequireReuse || k.reuse
	case Implicit:
		return k.implicit && (!opts.RequireReuse || k.reuse)
	}
	return false
}

// environment returns what a server's process gets to see. All the servers use
// OpenSSL and not all have an option for the version of TLS, so that comes from a
// configuration file of OpenSSL's own; the host's is left out of the test thereby.
func (s site) environment() ([]string, error) {
	if s.opts.TLS == Off {
		return os.Environ(), nil
	}
	lowest, highest := "TLSv1.2", "TLSv1.3"
	switch s.opts.TLSVersion {
	case tls.VersionTLS12:
		highest = lowest
	case tls.VersionTLS13:
		lowest = highest
	}
	err := s.write("openssl.cnf",
		"openssl_conf = library",
		"[library]", "ssl_conf = modules",
		"[modules]", "system_default = versions",
		"[versions]", "MinProtocol = "+lowest, "MaxProtocol = "+highest)
	return append(os.Environ(), "OPENSSL_CONF="+s.path("openssl.cnf")), err
}

// vsftpdTLS are the lines for TLS. An upload that ends without close_notify is
// refused there, which is off in the stock configuration.
func vsftpdTLS(s site) []string {
	if s.opts.TLS == Off {
		return nil
	}
	return []string{
		"ssl_enable=YES", "allow_anon_ssl=YES",
		"force_anon_logins_ssl=YES", "force_anon_data_ssl=YES",
		"implicit_ssl=" + yesNo(s.opts.TLS == Implicit),
		"rsa_cert_file=" + s.certs.CertFile, "rsa_private_key_file=" + s.certs.KeyFile,
		"ssl_ciphers=HIGH", // the built-in choice is a cipher that OpenSSL dropped
		"require_ssl_reuse=" + yesNo(s.opts.RequireReuse), "strict_ssl_read_eof=YES",
	}
}

// findProFTPd finds it with its module for TLS, where that is asked for.
func findProFTPd(opts Options) string {
	path := find("proftpd")
	if path == "" || opts.TLS == Off {
		return path
	}
	if _, err := os.Stat(filepath.Join(proftpdModules(path), "mod_tls.so")); err != nil {
		return ""
	}
	return path
}

func proftpdModules(binary string) string {
	return filepath.Join(filepath.Dir(binary), "../lib/proftpd")
}

func proftpdTLS(s site) []string {
	if s.opts.TLS == Off {
		return nil
	}
	options := ""
	if s.opts.TLS == Implicit {
		options += " UseImplicitSSL"
	}
	if !s.opts.RequireReuse {
		options += " NoSessionReuseRequired"
	}
	kind := "TLSEC"
	if _, ok := s.certs.Server.PrivateKey.(*rsa.PrivateKey); ok {
		kind = "TLSRSA"
	}
	lines := []string{
		"LoadModule mod_tls.c", "TLSEngine on", "TLSRequired on",
		kind + "CertificateFile " + s.certs.CertFile, kind + "CertificateKeyFile " + s.certs.KeyFile,
		"TLSVerifyClient off", "TLSLog " + s.path("tls.log"),
	}
	if options != "" {
		lines = append(lines, "TLSOptions"+options)
	}
	if s.opts.FXP { // as a TLS client it would not trust the other server
		lines = append(lines, "TLSVerifyServer off")
	}
	return lines
}

// pythonTLS finds the Python whose pyftpdlib can do TLS.
var pythonTLS = sync.OnceValue(func() string {
	path := python()
	if path == "" || exec.Command(path, "-c", "from pyftpdlib.handlers import TLS_FTPHandler").Run() != nil {
		return ""
	}
	return path
})

func findPyftpdlib(opts Options) string {
	if opts.TLS == Off {
		return python()
	}
	return pythonTLS()
}

// pyftpdlibCode serves by a few lines of Python: pyftpdlib's command line has no option
// for TLS, for copies from server to server and for more than 512 sessions. Implicit is
// its own class with the handshake moved before the greeting.
const pyftpdlibCode = `
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
host, port, root, perm, user, password, first, last, public, cert, key, implicit, fxp, per_host = sys.argv[1:]
if cert:
    from pyftpdlib.handlers import TLS_FTPHandler as FTPHandler

class Handler(FTPHandler):
    if cert:
        certfile, keyfile = cert, key
        tls_control_required = tls_data_required = True
    authorizer = DummyAuthorizer()
    passive_ports = range(int(first), int(last) + 1) if first else None
    masquerade_address = public or None
    permit_foreign_addresses = fxp == "YES"

    def handle(self):
        if implicit == "YES":
            self.secure_connection(self.ssl_context)
        else:
            super().handle()

    def handle_ssl_established(self):
        if implicit == "YES":
            super().handle()

Handler.authorizer.add_user(user, password, root, perm=perm)
FTPServer.max_cons = 10000
FTPServer.max_cons_per_ip = int(per_host)
FTPServer((host, int(port)), Handler).serve_forever()
`

func pyftpdlib(s site) ([]string, error) {
	cert, key := "", ""
	if s.certs != nil {
		cert, key = s.certs.CertFile, s.certs.KeyFile
	}
	first, last, _ := strings.Cut(s.opts.PassivePorts, "-")
	perm := "elr"
	if !s.opts.ReadOnly {
		perm = "elradfmwMT"
	}
	return []string{
		s.binary, "-c", pyftpdlibCode, s.host, strconv.Itoa(s.port), s.root, perm, user, password,
		first, last, s.opts.PublicIP, cert, key, yesNo(s.opts.TLS == Implicit), yesNo(s.opts.FXP),
		strconv.Itoa(s.opts.PerHost),
	}, nil
}
