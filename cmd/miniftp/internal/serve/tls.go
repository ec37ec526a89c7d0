package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server"
)

// tlsModes holds the values of --tls.
var tlsModes = map[string]bool{"off": true, "optional": true, "required": true, "implicit": true}

// reuses holds the values of --tls-session-reuse.
var reuses = map[string]dtp.Reuse{"off": dtp.ReuseOff, "prefer": dtp.ReusePrefer, "require": dtp.ReuseRequire}

// serveTLS sets the TLS options of o and returns the certificates. It returns nil if TLS is off or can't
// be used; in the second case the reason is in cf.Problems.
func (cf *config) serveTLS(o *server.Options) *certificates {
	mode, files, acme, own := cf.TLS, cf.TLSCert, len(cf.TLSACME) > 0, cf.TLSSelfSigned
	if !tlsModes[mode] {
		return nil // the mistake is recorded already
	}
	if own && (acme || len(files) > 0) {
		other := &cf.TLSCert
		if acme {
			other = &cf.TLSACME
		}
		cf.Wrong(&cf.TLSSelfSigned, "can't be used together with %s", cf.Label(other))
		return nil
	}
	if mode == "off" {
		cf.noTLS()
		return nil
	}
	if !own && !acme && len(files) == 0 {
		cf.Wrong(&cf.TLS, "%s needs a certificate: %s", mode, certificateWords(cf.By(&cf.TLS)))
		return nil
	}
	switch keys := len(cf.TLSKey); {
	case own && keys > 0:
		cf.Wrong(&cf.TLSKey, "can't be used together with %s", cf.Label(&cf.TLSSelfSigned))
		return nil
	case keys > len(files):
		cf.Wrong(&cf.TLSKey, "has %d keys for %d of %s: there must be one key for each", keys, len(files), cf.Label(&cf.TLSCert))
		return nil
	}
	certs, err := cf.namedOrOwn(own, files)
	if err != nil {
		if own {
			cf.Blame(&cf.TLSSelfSigned, err)
		} else {
			cf.Blame(&cf.TLSCert, err)
		}
		return nil
	}
	if certs.hosts, certs.authority, err = cf.acme(); err != nil {
		return nil
	}
	certs.own = own
	cf.warnOfDates(certs)
	o.TLS = &tls.Config{GetCertificate: certs.get}
	if cf.TLSLegacy {
		o.TLS.CipherSuites = legacySuites()
	}
	cf.oldTLS(o, certs)
	o.TLSRequired = mode != "optional"
	o.AllowCCC, o.SessionReuse = cf.TLSCCC, reuses[cf.TLSSessionReuse]
	o.ListenTLS = cf.addresses(&cf.ListenTLS)
	if mode == "implicit" {
		if len(o.Listen) == 0 {
			o.Listen = []string{"127.0.0.1:2121"}
		}
		o.Listen, o.ListenTLS = nil, append(o.Listen, o.ListenTLS...)
	}
	cf.clientCertificates(o)
	cf.otherServers(o)
	return certs
}

// warnOfDates warns of certificates that are not valid yet. For config check, it also warns of those that end soon; a server
// that runs does that itself (expiry.go).
func (cf *config) warnOfDates(certs *certificates) {
	for _, p := range certs.pairs {
		if problem := early(p.cert.Leaf, time.Now()); problem != "" {
			cf.Warn("%s: %s", ftp.Printable(p.certFile), problem)
		}
		c := certs.describe(p)
		if problem := c.Problem(time.Now()); problem != "" && cf.trial {
			cf.Warn("%s", problem)
		}
	}
}

// early returns a warning if a certificate is not valid yet, else "".
func early(leaf *x509.Certificate, now time.Time) string {
	if now.Before(leaf.NotBefore) {
		return "the certificate is not valid before " + leaf.NotBefore.Local().Format("2006-01-02 15:04 MST") + ": clients will refuse it; check the clock"
	}
	return ""
}

// legacySuites returns the default cipher suites of TLS 1.2 and those with AES that package tls
// has removed from them: RSA key exchange, and CBC.
func legacySuites() []uint16 {
	var all []uint16
	for _, c := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if slices.Contains(c.SupportedVersions, tls.VersionTLS12) && (!c.Insecure || strings.Contains(c.Name, "_AES_")) {
			all = append(all, c.ID)
		}
	}
	return all
}

// oldTLS sets the networks of --tls-old-for, and warns of what that means.
func (cf *config) oldTLS(o *server.Options, certs *certificates) {
	if o.OldTLS = cf.networks(&cf.TLSOldFor); len(o.OldTLS) == 0 {
		return
	}
	cf.Warn("clients of %s may use TLS 1.0 and 1.1, and ciphers without forward secrecy (%s): anyone on the way can attack such connections, and read recorded ones if they get the key", joined(o.OldTLS), cf.Label(&cf.TLSOldFor))
	isRSA := func(p *pair) bool { return p.cert.Leaf.PublicKeyAlgorithm == x509.RSA }
	if len(certs.hosts) == 0 && !slices.ContainsFunc(certs.pairs, isRSA) { // ACME gets one with RSA
		cf.Warn("%s: most old clients need a certificate with an RSA key, but no certificate has one: add such a --tls-cert", cf.Label(&cf.TLSOldFor))
	}
}

// joined returns networks for people.
func joined(networks []netip.Prefix) string {
	all := make([]string, len(networks))
	for i, n := range networks {
		all[i] = n.String()
	}
	return strings.Join(all, ", ")
}

// namedOrOwn loads the certificates in files or, if own is true, the self-signed one.
func (cf *config) namedOrOwn(own bool, files []string) (*certificates, error) {
	switch {
	case own && cf.trial:
		return trySelfSigned()
	case own:
		file, err := "", error(nil)
		if cf.becomes() { // the certificate must belong to the user, who may replace it later
			err = cf.user.Do(func() error { file, err = selfSigned(); return err })
		} else {
			file, err = selfSigned()
		}
		if err != nil {
			return nil, err
		}
		files = []string{file}
	}
	return loadCertificates(files, cf.TLSKey)
}

// noTLS records settings that have no effect without TLS as mistakes. If TLS is turned off explicitly,
// they may stay in the file.
func (cf *config) noTLS() {
	mode := cf.By(&cf.TLS)
	for _, field := range cf.NeedTLS() {
		by := cf.By(field)
		switch {
		case by != settings.ByFlag && by != settings.ByFile:
		case by == settings.ByFlag && mode == settings.ByFlag:
			cf.Wrong(field, "can't be used together with --tls off")
		case by == settings.ByFlag, mode == settings.ByDefault, field == any(&cf.ListenTLS) && mode == settings.ByFile:
			cf.Wrong(field, "has no effect without TLS, which needs a certificate: %s", certificateWords(by))
		}
	}
}

// certificateWords returns advice on how to set a certificate: by a flag or in the file.
func certificateWords(by settings.Origin) string {
	if by == settings.ByFile {
		return `write  cert = "FILE",  acme = ["HOST"]  or  self-signed = true  in [tls]`
	}
	return "add --tls-cert FILE, --tls-acme HOST or --tls-self-signed"
}

// clientCertificates sets the options of o for client certificates.
func (cf *config) clientCertificates(o *server.Options) {
	file := cf.TLSClientCA
	switch {
	case file == "" && cf.TLSClientUser:
		cf.Wrong(&cf.TLSClientUser, "needs --tls-client-ca")
		return
	case file == "":
		return
	case !o.TLSRequired:
		cf.Wrong(&cf.TLSClientCA, "has no effect if clients may log in without TLS: add --tls required")
		return
	}
	pool, err := local.Authorities(file)
	if err != nil {
		cf.Blame(&cf.TLSClientCA, err)
		return
	}
	o.TLS.ClientCAs = pool
	o.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	if cf.TLSClientUser {
		o.CertUser = func(cert *x509.Certificate) string { return cert.Subject.CommonName }
	}
}

// otherServers sets the authorities for certificates of other servers in copies from server to server.
func (cf *config) otherServers(o *server.Options) {
	file := cf.TLSFXPCA
	if file == "" {
		return
	}
	pool, err := local.Authorities(file)
	if err != nil {
		cf.Blame(&cf.TLSFXPCA, err)
		return
	}
	o.FXPTLS = &tls.Config{RootCAs: pool}
}

// tlsBanner holds what the banner needs to know about TLS.
type tlsBanner struct {
	explicit      int    // number of listeners for AUTH TLS, which come first; the others are for implicit TLS
	required      bool   // on those, clients must send AUTH TLS
	certificate   string // the words before the fingerprint, "" without TLS
	fingerprint   string // "" with ACME: clients need none
	curl, miniftp string // options of the two programs, each with a blank after it
}

// scheme returns the scheme of the i-th listener's URL.
func (t tlsBanner) scheme(i int) string {
	switch {
	case i >= t.explicit && t.certificate != "":
		return "ftps"
	case t.required:
		return "ftpes"
	}
	return "ftp"
}

// tlsWords returns the tlsBanner for options and certificates.
func (cf *config) tlsWords(o server.Options, certs *certificates) tlsBanner {
	if certs == nil {
		return tlsBanner{}
	}
	t := tlsBanner{explicit: len(o.Listen), required: o.TLSRequired}
	if len(o.Listen) == 0 && len(o.ListenTLS) == 0 {
		t.explicit = 1 // the default
	}
	how := map[bool]string{true: "required", false: "optional"}[o.TLSRequired]
	if len(certs.hosts) > 0 {
		t.certificate = fmt.Sprintf("TLS is %s; the certificate of %s is from %s", how, certs.hosts[0], certs.acme.Authority())
	} else {
		t.certificate = fmt.Sprintf("TLS is %s; the fingerprint of the certificate is", how)
		t.fingerprint = certs.fingerprint()
	}
	if o.TLSRequired && len(o.Listen) > 0 {
		t.curl = "--ssl-reqd "
	}
	if o.TLSRequired && cf.TLSSelfSigned {
		t.curl += "--cacert " + verb.ShellWord(certs.pairs[0].certFile) + " "
		t.miniftp = "--pin " + t.fingerprint + " "
	}
	return t
}
