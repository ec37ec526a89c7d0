package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

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
func (cf *config) serveTLS(o *server.Options) *certificates {
	mode, files := cf.str("tls"), cf.list("tls-cert")
	if !tlsModes[mode] {
		return nil // checkWords has told
	}
	if cf.on("tls-self-signed") && len(files) > 0 {
		cf.wrong("tls-self-signed", "and a certificate (%s) exclude each other", cf.label("tls-cert"))
		return nil
	}
	own := cf.on("tls-self-signed")
	if mode == "off" {
		cf.noTLS()
		return nil
	}
	if !own && len(files) == 0 {
		cf.wrong("tls", "%s needs a certificate: %s", mode, cf.certificateWords(cf.values["tls"].by))
		return nil
	}
	switch keys := len(cf.list("tls-key")); {
	case own && keys > 0:
		cf.wrong("tls-key", "and %s exclude each other", cf.label("tls-self-signed"))
		return nil
	case keys > len(files):
		cf.wrong("tls-key", "names %d keys for %d of %s: they go together one for one", keys, len(files), cf.label("tls-cert"))
		return nil
	}
	certs, err := cf.namedOrOwn(own, files)
	if err != nil {
		name := "tls-cert"
		if own {
			name = "tls-self-signed"
		}
		cf.blame(name, err)
		return nil
	}
	for _, p := range certs.pairs {
		if problem := outOfTime(p.cert.Leaf, time.Now()); problem != "" {
			cf.warn("%s: %s", ftp.Printable(p.certFile), problem)
		}
	}
	o.TLS = &tls.Config{GetCertificate: certs.get}
	if cf.on("tls-legacy") {
		o.TLS.CipherSuites = legacySuites()
	}
	o.TLSRequired = mode != "optional"
	o.AllowCCC = cf.on("tls-ccc")
	o.SessionReuse = reuses[cf.str("tls-session-reuse")]
	o.ListenTLS = cf.addresses("listen-tls")
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
	return loadCertificates(files, cf.list("tls-key"))
}

// noTLS: without TLS a setting that asks for a part of it can't be meant. But who
// switches it off need not take the certificate out of the file.
func (cf *config) noTLS() {
	for _, name := range append(flagNames(tlsFlags()), "listen-tls") {
		v := cf.values[name]
		empty := v.is == nil || reflect.ValueOf(v.is).IsZero() || name == "tls-session-reuse" && v.is == "prefer"
		switch {
		case name == "tls", empty, v.by != byFlag && v.by != byFile:
		case v.by == byFlag && cf.values["tls"].by == byFlag:
			cf.wrong(name, "and --tls off exclude each other")
		case v.by == byFlag, cf.values["tls"].by == byDefault, name == "listen-tls" && cf.values["tls"].by == byFile:
			cf.wrong(name, "without TLS, which needs a certificate: %s", cf.certificateWords(v.by))
		}
	}
}

// certificateWords are how whoever wrote something says where a certificate is.
func (cf *config) certificateWords(by origin) string {
	if by == byFile {
		return `write  cert = "FILE"  or  self-signed = true  in [tls]`
	}
	return "--tls-cert FILE, or --tls-self-signed"
}

// clientCertificates asks clients for certificates.
func (cf *config) clientCertificates(o *server.Options) {
	file := cf.str("tls-client-ca")
	switch {
	case file == "" && cf.on("tls-client-user"):
		cf.wrong("tls-client-user", "goes with --tls-client-ca")
		return
	case file == "":
		return
	case !o.TLSRequired:
		cf.wrong("tls-client-ca", "asks for nothing where a login in the clear will do: add --tls required")
		return
	}
	pool, err := authorities(file)
	if err != nil {
		cf.blame("tls-client-ca", err)
		return
	}
	o.TLS.ClientCAs = pool
	o.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	if cf.on("tls-client-user") {
		o.CertUser = func(cert *x509.Certificate) string { return cert.Subject.CommonName }
	}
}

// otherServers says whom to trust in copies from server to server.
func (cf *config) otherServers(o *server.Options) {
	file := cf.str("tls-fxp-ca")
	if file == "" {
		return
	}
	pool, err := authorities(file)
	if err != nil {
		cf.blame("tls-fxp-ca", err)
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
	if o.TLSRequired && cf.on("tls-self-signed") {
		t.curl += "--cacert " + shellWord(certs.pairs[0].certFile) + " "
		t.own = "--pin " + t.fingerprint + " "
	}
	return t
}
