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

// TLSMode is the way in which a server uses TLS.
type TLSMode int

const (
	// Off means no TLS: the server refuses AUTH.
	Off TLSMode = iota
	// Explicit means that TLS begins with AUTH TLS (RFC 4217). The server refuses a
	// login before it, and data connections without PROT P.
	Explicit
	// Implicit means that a connection begins with the TLS handshake. The server refuses
	// data connections after PROT C; without any PROT, servers differ.
	Implicit
)

// Can reports whether the server called name supports these options. It does not check
// whether the server is installed.
//
// All servers except FTPSrv support Explicit, and a TLSVersion. The stock build of
// pure-ftpd does not support Implicit. Only vsftpd and proftpd support RequireReuse. With
// Off, no other option of TLS may be set.
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

// environment returns the environment of a server's process. With TLS, it names a
// configuration file for OpenSSL, which all servers use. The file sets the version of TLS,
// because not all servers have an option for it, and replaces the configuration of the host.
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

// vsftpdTLS returns the configuration for TLS. Unlike the stock configuration, it makes
// vsftpd refuse an upload that ends without close_notify.
func vsftpdTLS(s site) []string {
	if s.opts.TLS == Off {
		return nil
	}
	return []string{
		"ssl_enable=YES", "allow_anon_ssl=YES",
		"force_anon_logins_ssl=YES", "force_anon_data_ssl=YES",
		"implicit_ssl=" + yesNo(s.opts.TLS == Implicit),
		"rsa_cert_file=" + s.certs.CertFile, "rsa_private_key_file=" + s.certs.KeyFile,
		"ssl_ciphers=HIGH", // the default is a cipher that OpenSSL has removed
		"require_ssl_reuse=" + yesNo(s.opts.RequireReuse), "strict_ssl_read_eof=YES",
	}
}

// findProFTPd returns the path of ProFTPD. With TLS, it returns "" if the module for TLS is missing.
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
	if s.opts.FXP { // ProFTPD may be the TLS client and does not know the other server's authority
		lines = append(lines, "TLSVerifyServer off")
	}
	return lines
}

// pythonTLS returns the path of a Python whose pyftpdlib supports TLS, or "".
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

// pyftpdlibCode is a server in Python. The command line of pyftpdlib has no options for TLS,
// copies from server to server and more than 512 sessions. For Implicit, the class Handler does
// the handshake before the greeting.
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
