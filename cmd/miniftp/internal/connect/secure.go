package connect

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// tlsWord is the value of the client flag --tls. It also accepts the words of --tls of serve, because both
// have the same environment variable.
type tlsWord bool

func (w *tlsWord) String() string   { return strconv.FormatBool(bool(*w)) }
func (w *tlsWord) IsBoolFlag() bool { return true }

func (w *tlsWord) Set(s string) error {
	switch strings.ToLower(s) {
	case "off":
		*w = false
	case "optional", "required", "implicit":
		*w = true
	default:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("must be true or false")
		}
		*w = tlsWord(b)
	}
	return nil
}

// clientTLS returns whether connections to r use TLS, and the configuration for it.
func clientTLS(c *cli.Context, r *ftp.URL) (client.TLSMode, *tls.Config, error) {
	mode := client.NoTLS
	switch {
	case r.Scheme == "ftps":
		mode = client.ImplicitTLS
	case r.Scheme == "ftpes", c.Bool("tls"):
		mode = client.ExplicitTLS
	}
	if mode == client.NoTLS {
		for _, name := range []string{"ca-cert", "pin", "cert", "key", "insecure"} {
			if flags.Asked(c, name) {
				return mode, nil, verb.Usagef("--%s needs TLS: use --tls, ftpes:// or ftps://", name)
			}
		}
		return mode, nil, nil
	}
	cfg := new(tls.Config)
	cfg.InsecureSkipVerify = c.Bool("insecure")
	var err error
	if file := c.String("ca-cert"); file != "" {
		if cfg.RootCAs, err = local.Authorities(file); err != nil {
			return mode, nil, err
		}
	}
	if file := c.String("cert"); file != "" {
		key := c.String("key")
		if key == "" {
			key = file
		}
		cert, err := local.KeyPair(file, key)
		if err != nil {
			return mode, nil, err
		}
		cfg.Certificates = []tls.Certificate{cert}
	} else if flags.Asked(c, "key") {
		return mode, nil, verb.Usagef("--key needs --cert")
	}
	return mode, cfg, pin(c, cfg)
}

// pin makes cfg trust only the certificate with the fingerprint of --pin. With --ca-cert, that certificate
// must also be signed by one of those authorities.
func pin(c *cli.Context, cfg *tls.Config) error {
	s := c.String("pin")
	if s == "" {
		return nil
	}
	if cfg.InsecureSkipVerify {
		return verb.Usagef("--pin and --insecure can't be used together")
	}
	want, err := hex.DecodeString(strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(s), "sha256:"), ":", ""))
	if err != nil || len(want) != sha256.Size {
		return verb.Usagef("--pin %q: must be sha256: and 64 hexadecimal digits, as miniftp serve prints it", s)
	}
	cfg.InsecureSkipVerify = cfg.RootCAs == nil
	cfg.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) > 0 && local.Fingerprint(cs.PeerCertificates[0]) == "sha256:"+hex.EncodeToString(want) {
			return nil
		}
		return &PinError{cs.PeerCertificates}
	}
	return nil
}

// PinError is returned for a certificate that is not the one of --pin.
type PinError struct{ shown []*x509.Certificate }

func (e *PinError) Error() string { return "the certificate does not match --pin" }

// TLSHint adds to an error in establishing TLS what the user can do about it.
func TLSHint(err error, o client.Options) error {
	if silent, ok := errors.AsType[*client.ConnectError](err); ok && errors.Is(err, client.ErrTimeout) && o.TLS != client.ImplicitTLS {
		return silentHint(err, silent.Addr, o)
	}
	var noTLS *client.TLSError
	if !errors.As(err, &noTLS) {
		return err
	}
	var untrusted *tls.CertificateVerificationError
	var other *PinError
	var reply *ftp.Error
	switch {
	case errors.As(err, &untrusted) && len(untrusted.UnverifiedCertificates) > 0:
		return &trustError{noTLS, untrusted.UnverifiedCertificates[0], untrusted.Err, o.TLSConfig != nil && o.TLSConfig.RootCAs != nil}
	case errors.As(err, &other) && len(other.shown) > 0:
		return &trustError{noTLS, other.shown[0], other, false}
	case errors.As(err, &reply) && reply.Verb == "AUTH":
		return fmt.Errorf("%w (no password was sent; without --tls or ftpes:// it would be sent without encryption)", err)
	case strings.Contains(noTLS.Error(), "certificate required") && (o.TLSConfig == nil || len(o.TLSConfig.Certificates) == 0):
		return fmt.Errorf("%w (the server requires a client certificate: give one with --cert and --key)", err)
	case o.TLS == client.ImplicitTLS && errors.As(err, new(tls.RecordHeaderError)):
		return fmt.Errorf("%w (ftps:// means TLS from the first byte; if the server expects AUTH TLS, use ftpes://)", err)
	}
	return err
}

// silentHint adds a hint to the error for a server that sends no greeting: it may be waiting for TLS.
func silentHint(err error, addr string, o client.Options) error {
	if _, port, _ := net.SplitHostPort(addr); port == "990" {
		return fmt.Errorf("%w (servers at port 990 expect TLS from the first byte: try ftps://)", err)
	}
	if o.TLS == client.ExplicitTLS {
		return fmt.Errorf("%w (the server may expect TLS from the first byte: try ftps://)", err)
	}
	return err
}

// trustError is the error for a certificate that is not trusted. Its text says why, and how to trust it, in
// one line.
type trustError struct {
	noTLS *client.TLSError
	cert  *x509.Certificate
	why   error
	byCA  bool // --ca-cert is set
}

func (e *trustError) Unwrap() error { return e.noTLS }

func (e *trustError) Error() string {
	fingerprint := local.Fingerprint(e.cert)
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	why, pin := e.why.Error(), "--pin "+fingerprint
	if e.byCA { // --pin together with --ca-cert requires both
		pin += " instead of --ca-cert"
	}
	do := pin + " accepts it"
	switch {
	case errors.As(e.why, &host):
		why = "it is for " + ftp.Printable(CertHosts(e.cert)) + ", not for " + ftp.Printable(host.Host)
	case errors.As(e.why, &unknown) && e.byCA:
		why = "it is not signed by an authority in the file of --ca-cert"
	case errors.As(e.why, &unknown):
		why = "it is not signed by a known authority"
		do = "--ca-cert FILE adds the authority that signed it, " + pin + " accepts only this certificate"
	case errors.As(e.why, &invalid) && invalid.Reason == x509.Expired:
		why = "it is valid only from " + e.cert.NotBefore.Format("2006-01-02") + " to " + e.cert.NotAfter.Format("2006-01-02")
	case errors.As(e.why, new(*PinError)):
		why, do = "it does not match --pin", "its fingerprint is "+fingerprint
	}
	return fmt.Sprintf("the server's certificate is not trusted: %s (%s)", why, do)
}

// CertHosts returns the hosts that a certificate is for, as a text of at most three.
func CertHosts(cert *x509.Certificate) string {
	all := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no host"
	}
	if len(all) > 3 {
		all = append(all[:3:3], "…")
	}
	return strings.Join(all, ", ")
}
