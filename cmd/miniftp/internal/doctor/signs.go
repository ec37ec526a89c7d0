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

// What the rules see: whether one comes in at all, and TLS.

// each makes one sign of all rows that fit, in the words of the first.
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

// ask names what the server's admin should do, with the setting's name if it is known.
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
		do := "Is the host up, and does a firewall keep callers from its port?"
		if isRefused(r.err) {
			do = "Nobody listens there: is the server running, and the port right?"
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
		return fmt.Sprintf("%s has the %s address %v, and nobody answers there: %s", x.host, r.family, r.addr, sentence(connectReason(r.err))),
			"Clients try it first and lose time. Whoever keeps the name should take the address out, or the server should listen on it."
	})
}

func seeNoGreeting(x *exam) []sign {
	return x.each(func(r *gridRow) bool {
		return r.stage == atGreeting && !errors.As(r.err, new(*ftp.Error)) && r.err != nil && !isOutOfTime(r.err)
	}, func(r *gridRow) (string, string) {
		if errors.Is(r.err, ftp.ErrSyntax) {
			return "What answers there is no FTP server: " + sentence(connectReason(r.err)), "Is the port right?"
		}
		return "The server takes the call and does not greet: " + sentence(connectReason(r.err)), "A server that waits for TLS first does so: try ftps://."
	})
}

func seeTurnedAway(x *exam) []sign {
	return x.each(func(r *gridRow) bool {
		var no *ftp.Error
		return errors.As(r.err, &no) && !refusesClear(r.err) && (no.Code == 421 || no.Verb == "" && r.stage == atGreeting)
	}, func(r *gridRow) (string, string) {
		return "The server turned us away: " + sentence(replyText(r.err)), "Try again later. If it stays so: " + lower(x.ask("let more connections in", product.MoreConnections))
	})
}

func seeTLSRefused(x *exam) []sign {
	if x.scheme == "ftp" {
		return nil
	}
	return x.each(x.refusesAUTH, func(r *gridRow) (string, string) {
		return "The server refuses TLS: " + sentence(replyText(r.err)),
			x.ask("offer it", product.OfferTLS) + " Nothing was sent in the clear."
	})
}

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
		do := "It speaks neither TLS 1.2 nor 1.3 as we do: " + lower(x.ask("update it, and look at its certificate", product.Certificate))
		switch {
		case errors.As(r.err, new(tls.RecordHeaderError)):
			do = "ftps:// is TLS from the first byte: is it ftpes://, AUTH TLS?"
		case strings.Contains(r.err.Error(), "certificate required"):
			do = "The server wants a client certificate: show one with --cert and --key."
		}
		return "The TLS handshake fails: " + sentence(r.err.Error()), do
	})
}

func seeControlOnly(x *exam) []sign {
	return x.each(func(r *gridRow) bool {
		var noTLS *client.TLSError
		return errors.As(r.err, &noTLS) && noTLS.Data
	}, func(r *gridRow) (string, string) {
		return "The server encrypts the control connection only: to PROT P it says " + sentence(replyText(r.err)), x.ask("let data connections be encrypted, too", product.NoTopic)
	})
}

// badCertificates are the rows whose certificate has that kind of fault.
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
		return fmt.Sprintf("The certificate is good only from %s to %s.", r.cert.NotBefore.Format("2006-01-02"), r.cert.NotAfter.Format("2006-01-02")),
			x.ask("renew it", product.Certificate) + " Until then --pin " + local.Fingerprint(r.cert) + " trusts it."
	})
}

func isOtherHost(err error) bool { return errors.As(err, new(x509.HostnameError)) }

func seeOtherHost(x *exam) []sign {
	return x.badCertificates(isOtherHost, func(r *gridRow) (string, string) {
		return fmt.Sprintf("The certificate is for %s, not for %s.", ftp.Printable(connect.CertHosts(r.cert)), x.host),
			"Use a name that it is for. Else: " + lower(x.ask("get one for "+x.host, product.Certificate)) + " --pin " + local.Fingerprint(r.cert) + " trusts it as it is."
	})
}

func seeUntrusted(x *exam) []sign {
	return x.badCertificates(func(err error) bool {
		return !isExpired(err) && !isOtherHost(err) && !errors.As(err, new(*connect.PinError))
	},
		func(r *gridRow) (string, string) {
			return "Nobody known vouches for the certificate.",
				x.ask("get one from a known authority", product.Certificate) + " --ca-cert FILE names who signed it, --pin " + local.Fingerprint(r.cert) + " trusts just this one."
		})
}

func seeOtherPin(x *exam) []sign {
	return x.badCertificates(func(err error) bool { return errors.As(err, new(*connect.PinError)) }, func(r *gridRow) (string, string) {
		return "The certificate is not that of --pin.", "Ask the server's admin whether it is new: its fingerprint is " + local.Fingerprint(r.cert) + ". If not, somebody sits in between."
	})
}

func seeLogin(x *exam) []sign {
	return x.each(func(r *gridRow) bool {
		var no *ftp.Error
		return r.stage == atLogin && errors.As(r.err, &no) && (no.Code != 421 || refusesClear(r.err)) && r.aside(x) == ""
	}, func(r *gridRow) (string, string) {
		if refusesClear(r.err) && x.scheme == "ftp" {
			return "The login is refused in the clear: " + sentence(replyText(r.err)), "Use ftpes:// in the URL, or --tls."
		}
		if no, ok := errors.AsType[*ftp.Error](r.err); ok && (no.Code == 332 || no.Verb == "ACCT") {
			return "The server asks for an account at the login: " + sentence(replyText(r.err)), "Name the account with --account."
		}
		return "The login is refused: " + sentence(replyText(r.err)), "Look at the user's name and the password."
	})
}

func seeNoDir(x *exam) []sign {
	return x.each(func(r *gridRow) bool { return r.stage == atDir && errors.As(r.err, new(*ftp.Error)) }, func(r *gridRow) (string, string) {
		return "The directory of the URL can't be entered: " + sentence(replyText(r.err)), "Look at the path, and at what the user may read."
	})
}

func seeNoFile(x *exam) []sign {
	if x.checks.unread == nil {
		return nil
	}
	return []sign{{what: "The file of the URL can't be read: " + sentence(replyText(x.checks.unread)), do: "Look at the path, and at what the user may read."}}
}

func seeClearLogin(x *exam) []sign {
	in := func(open bool) func(r *gridRow) bool {
		return func(r *gridRow) bool { return r.stage == inside && (r.corner.mode == client.NoTLS) == open }
	}
	if !x.secret || !slices.ContainsFunc(x.rows, in(true)) || !slices.ContainsFunc(x.rows, in(false)) {
		return nil
	}
	return []sign{{
		what: "The server takes the password in the clear although it offers TLS: whoever listens on the way reads it.",
		do:   "Use ftpes:// in the URL. " + x.ask("demand TLS", product.DemandTLS),
	}}
}

func seeNoTLS(x *exam) []sign {
	if !x.secret || x.scheme != "ftp" || !slices.ContainsFunc(x.rows, x.refusesAUTH) {
		return nil
	}
	return []sign{{what: "The server offers no TLS: the password goes in the clear, and whoever listens on the way reads it.", do: x.ask("offer TLS", product.OfferTLS)}}
}

func seeReuse(x *exam) []sign {
	for _, r := range x.rows {
		if x.needsReuse(r) {
			refusal := r.unshared.err.Error()
			return []sign{{
				what: "TLS data connections are refused without session reuse. We do reuse it.",
				do:   "Clients that don't fail here: " + sentence(refusal) + " For them the admin can drop the demand" + x.inBrackets(product.SessionReuse) + ".",
			}}
		}
	}
	return nil
}

func (x *exam) needsReuse(r *gridRow) bool {
	return r.unshared != nil && r.unshared.err != nil && !isOutOfTime(r.unshared.err)
}

// namesSession: the words of a refusal speak of TLS sessions.
func namesSession(r ftp.Reply) bool {
	text := strings.ToLower(r.Text())
	return strings.Contains(text, "session") || strings.Contains(text, "reuse") || strings.Contains(text, "resum")
}

// isPlain reports whether an address tells of nothing but itself.
func isPlain(announced, control netip.Addr) bool {
	return !announced.IsValid() || !control.IsValid() || announced.Unmap() == control.Unmap().WithZone("")
}

// hours is a difference of clocks.
func hours(d time.Duration) string {
	d = d.Abs()
	if d%time.Hour == 0 {
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}
