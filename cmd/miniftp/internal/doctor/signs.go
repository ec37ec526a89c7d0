package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/product"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// This file has the functions of the rules about connecting, logging in and TLS.

// each returns one sign for all rows that fit, with the texts that say returns for the first of them. If no row fits,
// it returns none.
func (x *exam) each(fits func(r *gridRow) bool, say func(r *gridRow) (what, do string)) []sign {
	var s sign
	for _, r := range x.rows {
		if !fits(r) {
			continue
		}
		if s.rows == nil {
			s.what, s.do = say(r)
		}
		s.rows = append(s.rows, r)
		if r.err != nil {
			s.cells = append(s.cells, r.all()...)
		}
	}
	if s.rows == nil {
		return nil
	}
	return []sign{s}
}

// ask returns a sentence with what the server's admin should do and, if known, the name of the setting.
func (x *exam) ask(do string, t product.Topic) string {
	return "The server's admin should " + do + x.inBrackets(t) + "."
}

func (x *exam) inBrackets(t product.Topic) string {
	if name := x.setting(t); name != "" {
		return " (" + name + ")"
	}
	return ""
}

func seeNoConnection(x *exam) []sign {
	if x.connected() {
		return nil
	}
	return x.each(func(r *gridRow) bool { return r.stage == atConnect && r.err != nil && !isOutOfTime(r.err) }, func(r *gridRow) (string, string) {
		do := "Check that the host is up, and that no firewall blocks the port."
		if isRefused(r.err) {
			do = "Nothing listens on that port: check that the server is running and the port is right."
		}
		return sentence(r.err.Error()), do
	})
}

func seeFamily(x *exam) []sign {
	if !x.connected() {
		return nil
	}
	return x.each(func(r *gridRow) bool {
		return r.stage == atConnect && r.err != nil && r.aside(x) == ""
	}, func(r *gridRow) (string, string) {
		return fmt.Sprintf("%s has the %s address %v, but nothing answers there: %s", x.host, r.family, r.addr, sentence(connectReason(r.err))),
			"Clients may try it first and lose time. The domain's admin should remove the address, or the server should listen on it."
	})
}

func seeNoGreeting(x *exam) []sign {
	return x.each(func(r *gridRow) bool {
		return r.stage == atGreeting && !errors.As(r.err, new(*ftp.Error)) && r.err != nil && !isOutOfTime(r.err)
	}, func(r *gridRow) (string, string) {
		if errors.Is(r.err, ftp.ErrSyntax) {
			return "This is not an FTP server: " + sentence(connectReason(r.err)), "Check the port."
		}
		return "The server accepts the connection but sends no greeting: " + sentence(connectReason(r.err)), "Servers with implicit TLS do that: try ftps://."
	})
}

func seeTurnedAway(x *exam) []sign {
	return x.each(func(r *gridRow) bool {
		var no *ftp.Error
		return errors.As(r.err, &no) && !refusesClear(r.err) && (no.Code == 421 || no.Verb == "" && r.stage == atGreeting)
	}, func(r *gridRow) (string, string) {
		return "The server refuses more connections: " + sentence(replyText(r.err)), "Try again later. If that does not help, " + lower(x.ask("allow more connections", product.MoreConnections))
	})
}

func seeTLSRefused(x *exam) []sign {
	if x.scheme == "ftp" {
		return nil
	}
	return x.each(x.refusesAUTH, func(r *gridRow) (string, string) {
		return "The server refuses TLS: " + sentence(replyText(r.err)),
			x.ask("enable it", product.OfferTLS) + " No password was sent without encryption."
	})
}

// isHandshake reports whether the TLS handshake on the control connection failed, other than by an untrusted
// certificate.
func isHandshake(err error) bool {
	var noTLS *client.TLSError
	return errors.As(err, &noTLS) && !noTLS.Data && !errors.As(err, new(*ftp.Error)) && !isUntrusted(err)
}

func isUntrusted(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(*connect.PinError))
}

func seeHandshake(x *exam) []sign {
	if x.hasTLS() {
		return nil
	}
	return x.each(func(r *gridRow) bool { return isHandshake(r.err) }, func(r *gridRow) (string, string) {
		do := "The server supports neither TLS 1.2 nor TLS 1.3 in a way that works with miniftp: " + lower(x.ask("update it and check its certificate", product.Certificate))
		switch {
		case errors.As(r.err, new(tls.RecordHeaderError)):
			do = "ftps:// means TLS from the first byte. If the server expects AUTH TLS, use ftpes://."
		case strings.Contains(r.err.Error(), "certificate required"):
			do = "The server requires a client certificate: give one with --cert and --key."
		}
		return "The TLS handshake fails: " + sentence(r.err.Error()), do
	})
}

func seeControlOnly(x *exam) []sign {
	return x.each(func(r *gridRow) bool {
		var noTLS *client.TLSError
		return errors.As(r.err, &noTLS) && noTLS.Data
	}, func(r *gridRow) (string, string) {
		return "The server encrypts only the control connection: it answers PROT P with " + sentence(replyText(r.err)), x.ask("allow encrypted data connections", product.NoTopic)
	})
}

// badCertificates returns a sign for all rows whose certificate has the given fault. With --insecure there
// is none.
func (x *exam) badCertificates(is func(err error) bool, say func(r *gridRow) (what, do string)) []sign {
	found := x.each(func(r *gridRow) bool { return r.cert != nil && r.bad != nil && is(r.bad) }, say)
	if x.trusting {
		return nil
	}
	return found
}

func isExpired(err error) bool {
	var invalid x509.CertificateInvalidError
	return errors.As(err, &invalid) && invalid.Reason == x509.Expired
}

func seeExpired(x *exam) []sign {
	return x.badCertificates(isExpired, func(r *gridRow) (string, string) {
		return fmt.Sprintf("The certificate is valid only from %s to %s.", r.cert.NotBefore.Format("2006-01-02"), r.cert.NotAfter.Format("2006-01-02")),
			x.ask("renew it", product.Certificate) + " Until then, --pin " + local.Fingerprint(r.cert) + " accepts it."
	})
}

func isOtherHost(err error) bool { return errors.As(err, new(x509.HostnameError)) }

func seeOtherHost(x *exam) []sign {
	return x.badCertificates(isOtherHost, func(r *gridRow) (string, string) {
		return fmt.Sprintf("The certificate is for %s, not for %s.", ftp.Printable(connect.CertHosts(r.cert)), x.host),
			"Use a host name that it is for. Otherwise, " + lower(x.ask("get a certificate for "+x.host, product.Certificate)) + " --pin " + local.Fingerprint(r.cert) + " accepts it as it is."
	})
}

func seeUntrusted(x *exam) []sign {
	return x.badCertificates(func(err error) bool {
		return !isExpired(err) && !isOtherHost(err) && !errors.As(err, new(*connect.PinError))
	},
		func(r *gridRow) (string, string) {
			return "The certificate is not signed by a known authority.",
				x.ask("get one from a known authority", product.Certificate) + " --ca-cert FILE adds the authority that signed it; --pin " + local.Fingerprint(r.cert) + " accepts only this certificate."
		})
}

func seeOtherPin(x *exam) []sign {
	return x.badCertificates(func(err error) bool { return errors.As(err, new(*connect.PinError)) }, func(r *gridRow) (string, string) {
		return "The certificate is not the one of --pin.", "Ask the server's admin whether it is new; its fingerprint is " + local.Fingerprint(r.cert) + ". If it is not, somebody is intercepting the connection."
	})
}

func seeLogin(x *exam) []sign {
	return x.each(func(r *gridRow) bool {
		var no *ftp.Error
		return r.stage == atLogin && errors.As(r.err, &no) && (no.Code != 421 || refusesClear(r.err)) && r.aside(x) == ""
	}, func(r *gridRow) (string, string) {
		if refusesClear(r.err) && x.scheme == "ftp" {
			return "The server refuses logins without TLS: " + sentence(replyText(r.err)), "Use ftpes:// in the URL, or --tls."
		}
		if no, ok := errors.AsType[*ftp.Error](r.err); ok && (no.Code == 332 || no.Verb == "ACCT") {
			return "The server asks for an account: " + sentence(replyText(r.err)), "Give the account with --account."
		}
		return "The login is refused: " + sentence(replyText(r.err)), "Check the user name and the password."
	})
}

func seeNoDir(x *exam) []sign {
	return x.each(func(r *gridRow) bool { return r.stage == atDir && errors.As(r.err, new(*ftp.Error)) }, func(r *gridRow) (string, string) {
		return "The directory of the URL can't be entered: " + sentence(replyText(r.err)), "Check the path and the user's permissions."
	})
}

func seeNoFile(x *exam) []sign {
	if x.checks.unread == nil {
		return nil
	}
	return []sign{{what: "The file of the URL can't be read: " + sentence(replyText(x.checks.unread)), do: "Check the path and the user's permissions."}}
}

func seeClearLogin(x *exam) []sign {
	in := func(open bool) func(r *gridRow) bool {
		return func(r *gridRow) bool { return r.stage == atEnd && (r.spec.mode == client.NoTLS) == open }
	}
	if !x.secret || !slices.ContainsFunc(x.rows, in(true)) || !slices.ContainsFunc(x.rows, in(false)) {
		return nil
	}
	return []sign{{
		what: "The server accepts the password without encryption although it offers TLS: anyone on the network path can read it.",
		do:   "Use ftpes:// in the URL. " + x.ask("require TLS", product.DemandTLS),
	}}
}

func seeNoTLS(x *exam) []sign {
	if !x.secret || x.scheme != "ftp" || !slices.ContainsFunc(x.rows, x.refusesAUTH) {
		return nil
	}
	return []sign{{what: "The server offers no TLS: the password is sent without encryption, and anyone on the network path can read it.", do: x.ask("offer TLS", product.OfferTLS)}}
}

func seeReuse(x *exam) []sign {
	for _, r := range x.rows {
		if x.needsReuse(r) {
			refusal := r.noReuse.err.Error()
			return []sign{{
				what: "The server refuses TLS data connections without session reuse. miniftp reuses the session.",
				do:   "Clients that don't reuse it fail: " + sentence(refusal) + " For them, the server's admin can turn the requirement off" + x.inBrackets(product.SessionReuse) + ".",
			}}
		}
	}
	return nil
}

// needsReuse reports whether the server refused a data connection without session reuse in row r.
func (x *exam) needsReuse(r *gridRow) bool {
	return r.noReuse != nil && r.noReuse.err != nil && !isOutOfTime(r.noReuse.err)
}

// namesSession reports whether the text of a refusal mentions TLS sessions.
func namesSession(r ftp.Reply) bool {
	text := strings.ToLower(r.Text())
	return strings.Contains(text, "session") || strings.Contains(text, "reuse") || strings.Contains(text, "resum")
}

// isSameHost reports whether the announced address is that of the control connection, or either is unknown.
func isSameHost(announced, control netip.Addr) bool {
	return !announced.IsValid() || !control.IsValid() || announced.Unmap() == control.Unmap().WithZone("")
}

// hours formats the absolute value of a duration in hours and minutes.
func hours(d time.Duration) string {
	d = d.Abs()
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}
