package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/serve/settings"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server"
)

// tlsModes are the words of --tls.
var tlsModes = map[string]bool{"off": true, "optional": true, "required": true, "implicit": true}

// reuses are those of --tls-session-reuse.
var reuses = map[string]dtp.Reuse{"off": dtp.ReuseOff, "prefer": dtp.ReusePrefer, "require": dtp.ReuseRequire}

// serveTLS fills in what o says about TLS. No certificates: there is none, or it can't
// be, which cf.problems tells.
func serveTLS(cf *settings.Config, o *server.Options) *certificates {
	mode, files := cf.Str("tls"), cf.List("tls-cert")
	if !tlsModes[mode] {
		return nil // checkWords has told
	}
	if cf.On("tls-self-signed") && len(files) > 0 {
		cf.Wrong("tls-self-signed", "and a certificate (%s) exclude each other", cf.Label("tls-cert"))
		return nil
	}
	own := cf.On("tls-self-signed")
	if mode == "off" {
		noTLS(cf)
		return nil
	}
	if !own && len(files) == 0 {
		cf.Wrong("tls", "%s needs a certificate: %s", mode, certificateWords(cf, cf.Values["tls"].By))
		return nil
	}
	switch keys := len(cf.List("tls-key")); {
	case own && keys > 0:
		cf.Wrong("tls-key", "and %s exclude each other", cf.Label("tls-self-signed"))
		return nil
	case keys > len(files):
		cf.Wrong("tls-key", "names %d keys for %d of %s: they go together one for one", keys, len(files), cf.Label("tls-cert"))
		return nil
	}
	certs, err := namedOrOwn(cf, own, files)
	if err != nil {
		name := "tls-cert"
		if own {
			name = "tls-self-signed"
		}
		cf.Blame(name, err)
		return nil
	}
	for _, p := range certs.pairs {
		if problem := outOfTime(p.cert.Leaf, time.Now()); problem != "" {
			cf.Warn("%s: %s", ftp.Printable(p.certFile), problem)
		}
	}
	o.TLS = &tls.Config{GetCertificate: certs.get}
	if cf.On("tls-legacy") {
		o.TLS.CipherSuites = legacySuites()
	}
	o.TLSRequired = mode != "optional"
	o.AllowCCC = cf.On("tls-ccc")
	o.SessionReuse = reuses[cf.Str("tls-session-reuse")]
	o.ListenTLS = addresses(cf, "listen-tls")
	if mode == "implicit" {
		if len(o.Listen) == 0 {
			o.Listen = []string{"127.0.0.1:2121"}
		}
		o.Listen, o.ListenTLS = nil, append(o.Listen, o.ListenTLS...)
	}
	clientCertificates(cf, o)
	otherServers(cf, o)
	return certs
}

// outOfTime says what is wrong with the time of a certificate; it is empty if nothing is.
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

// legacySuites are the default cipher suites of TLS 1.2 and those with AES that package
// tls has dropped from them: RSA key exchange, and CBC.
func legacySuites() []uint16 {
	var all []uint16
	for _, c := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if slices.Contains(c.SupportedVersions, tls.VersionTLS12) && (!c.Insecure || strings.Contains(c.Name, "_AES_")) {
			all = append(all, c.ID)
		}
	}
	return all
}

// namedOrOwn loads those that are named, or the one that is made here.
func namedOrOwn(cf *settings.Config, own bool, files []string) (*certificates, error) {
	switch {
	case own && cf.Trial:
		return wouldSign()
	case own:
		file, err := selfSigned()
		if err != nil {
			return nil, err
		}
		files = []string{file}
	}
	return loadCertificates(files, cf.List("tls-key"))
}

// noTLS: without TLS a setting that asks for a part of it can't be meant. But who
// switches it off need not take the certificate out of the file.
func noTLS(cf *settings.Config) {
	for _, name := range append(flags.Names(settings.TlsFlags()), "listen-tls") {
		v := cf.Values[name]
		empty := v.Is == nil || reflect.ValueOf(v.Is).IsZero() || name == "tls-session-reuse" && v.Is == "prefer"
		switch {
		case name == "tls", empty, v.By != settings.ByFlag && v.By != settings.ByFile:
		case v.By == settings.ByFlag && cf.Values["tls"].By == settings.ByFlag:
			cf.Wrong(name, "and --tls off exclude each other")
		case v.By == settings.ByFlag, cf.Values["tls"].By == settings.ByDefault, name == "listen-tls" && cf.Values["tls"].By == settings.ByFile:
			cf.Wrong(name, "without TLS, which needs a certificate: %s", certificateWords(cf, v.By))
		}
	}
}

// certificateWords are how whoever wrote something says where a certificate is.
func certificateWords(cf *settings.Config, by settings.Origin) string {
	if by == settings.ByFile {
		return `write  cert = "FILE"  or  self-signed = true  in [tls]`
	}
	return "--tls-cert FILE, or --tls-self-signed"
}

// clientCertificates asks clients for certificates.
func clientCertificates(cf *settings.Config, o *server.Options) {
	file := cf.Str("tls-client-ca")
	switch {
	case file == "" && cf.On("tls-client-user"):
		cf.Wrong("tls-client-user", "goes with --tls-client-ca")
		return
	case file == "":
		return
	case !o.TLSRequired:
		cf.Wrong("tls-client-ca", "asks for nothing where a login in the clear will do: add --tls required")
		return
	}
	pool, err := local.Authorities(file)
	if err != nil {
		cf.Blame("tls-client-ca", err)
		return
	}
	o.TLS.ClientCAs = pool
	o.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	if cf.On("tls-client-user") {
		o.CertUser = func(cert *x509.Certificate) string { return cert.Subject.CommonName }
	}
}

// otherServers says whom to trust in copies from server to server.
func otherServers(cf *settings.Config, o *server.Options) {
	file := cf.Str("tls-fxp-ca")
	if file == "" {
		return
	}
	pool, err := local.Authorities(file)
	if err != nil {
		cf.Blame("tls-fxp-ca", err)
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

// scheme is that of the i-th listener's URL.
func (t tlsBanner) scheme(i int) string {
	switch {
	case i >= t.explicit && t.certificate != "":
		return "ftps"
	case t.required:
		return "ftpes"
	}
	return "ftp"
}

// tlsWords are what a client needs to know about the certificate.
func tlsWords(cf *settings.Config, o server.Options, certs *certificates) tlsBanner {
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
	if o.TLSRequired && cf.On("tls-self-signed") {
		t.curl += "--cacert " + verb.ShellWord(certs.pairs[0].certFile) + " "
		t.own = "--pin " + t.fingerprint + " "
	}
	return t
}
