package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
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

// serveTLS sets the options of o that are about TLS. It returns nil if TLS is off, or if it can't
// be used; then cf.Problems says why.
func (cf *config) serveTLS(o *server.Options) *certificates {
	mode, files := cf.TLS, cf.TLSCert
	if !tlsModes[mode] {
		return nil // which has been told
	}
	if cf.TLSSelfSigned && len(files) > 0 {
		cf.Wrong(&cf.TLSSelfSigned, "and a certificate (%s) exclude each other", cf.Label(&cf.TLSCert))
		return nil
	}
	own := cf.TLSSelfSigned
	if mode == "off" {
		cf.noTLS()
		return nil
	}
	if !own && len(files) == 0 {
		cf.Wrong(&cf.TLS, "%s needs a certificate: %s", mode, certificateWords(cf.By(&cf.TLS)))
		return nil
	}
	switch keys := len(cf.TLSKey); {
	case own && keys > 0:
		cf.Wrong(&cf.TLSKey, "and %s exclude each other", cf.Label(&cf.TLSSelfSigned))
		return nil
	case keys > len(files):
		cf.Wrong(&cf.TLSKey, "names %d keys for %d of %s: they go together one for one", keys, len(files), cf.Label(&cf.TLSCert))
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
	for _, p := range certs.pairs {
		if problem := outOfTime(p.cert.Leaf, time.Now()); problem != "" {
			cf.Warn("%s: %s", ftp.Printable(p.certFile), problem)
		}
	}
	o.TLS = &tls.Config{GetCertificate: certs.get}
	if cf.TLSLegacy {
		o.TLS.CipherSuites = legacySuites()
	}
	o.TLSRequired = mode != "optional"
	o.AllowCCC = cf.TLSCCC
	o.SessionReuse = reuses[cf.TLSSessionReuse]
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

// outOfTime returns a warning if a certificate has expired or is not yet valid, else "".
func outOfTime(leaf *x509.Certificate, now time.Time) string {
	const day = "2006-01-02 15:04 MST"
	switch {
	case now.After(leaf.NotAfter):
		return "the certificate expired on " + leaf.NotAfter.Local().Format(day) + ": clients will refuse it; put a new one in its place"
	case now.Before(leaf.NotBefore):
		return "the certificate is not valid before " + leaf.NotBefore.Local().Format(day) + ": clients will refuse it; is the clock right?"
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

// namedOrOwn loads the certificates in files or, if own is set, makes one.
func (cf *config) namedOrOwn(own bool, files []string) (*certificates, error) {
	switch {
	case own && cf.trial:
		return wouldSign()
	case own:
		file, err := selfSigned()
		if err != nil {
			return nil, err
		}
		files = []string{file}
	}
	return loadCertificates(files, cf.TLSKey)
}

// noTLS reports settings that have no effect without TLS. If TLS was switched off explicitly, the
// certificate may stay in the file.
func (cf *config) noTLS() {
	mode := cf.By(&cf.TLS)
	for _, field := range cf.NeedTLS() {
		by := cf.By(field)
		switch {
		case by != settings.ByFlag && by != settings.ByFile:
		case by == settings.ByFlag && mode == settings.ByFlag:
			cf.Wrong(field, "and --tls off exclude each other")
		case by == settings.ByFlag, mode == settings.ByDefault, field == any(&cf.ListenTLS) && mode == settings.ByFile:
			cf.Wrong(field, "without TLS, which needs a certificate: %s", certificateWords(by))
		}
	}
}

// certificateWords returns how to name a certificate, in a flag or in the file.
func certificateWords(by settings.Origin) string {
	if by == settings.ByFile {
		return `write  cert = "FILE"  or  self-signed = true  in [tls]`
	}
	return "--tls-cert FILE, or --tls-self-signed"
}

// clientCertificates sets the options of o for client certificates.
func (cf *config) clientCertificates(o *server.Options) {
	file := cf.TLSClientCA
	switch {
	case file == "" && cf.TLSClientUser:
		cf.Wrong(&cf.TLSClientUser, "goes with --tls-client-ca")
		return
	case file == "":
		return
	case !o.TLSRequired:
		cf.Wrong(&cf.TLSClientCA, "asks for nothing where a login in the clear will do: add --tls required")
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

// otherServers sets which certificates of other servers o accepts in copies from server to server.
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

// tlsBanner is what the banner says about TLS.
type tlsBanner struct {
	explicit    int    // listeners of that many are for AUTH TLS, those behind them for TLS first
	required    bool   // and AUTH has to come
	certificate string // about the fingerprint, which follows
	fingerprint string
	curl, own   string // options of curl and of miniftp for it, with a blank behind
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

// tlsWords returns what the banner says about the certificate.
func (cf *config) tlsWords(o server.Options, certs *certificates) tlsBanner {
	if certs == nil {
		return tlsBanner{}
	}
	t := tlsBanner{explicit: len(o.Listen), required: o.TLSRequired}
	if len(o.Listen) == 0 && len(o.ListenTLS) == 0 {
		t.explicit = 1 // the default
	}
	how := map[bool]string{true: "required", false: "optional"}[o.TLSRequired]
	t.certificate = fmt.Sprintf("TLS is %s, the certificate's fingerprint is", how)
	t.fingerprint = certs.fingerprint()
	if o.TLSRequired && len(o.Listen) > 0 {
		t.curl = "--ssl-reqd "
	}
	if o.TLSRequired && cf.TLSSelfSigned {
		t.curl += "--cacert " + verb.ShellWord(certs.pairs[0].certFile) + " "
		t.own = "--pin " + t.fingerprint + " "
	}
	return t
}
