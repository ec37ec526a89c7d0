package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/product"
	"miniftp/cmd/miniftp/internal/term"
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

// Data connections, files and listings.

// cellsWhere gathers cells.
func (x *exam) cellsWhere(fits func(r *gridRow, way int) bool) (cells []*gridCell) {
	for _, r := range x.rows {
		for way := range r.cells {
			if fits(r, way) {
				cells = append(cells, &r.cells[way])
			}
		}
	}
	return cells
}

// eachCell makes one sign of all cells that fit, in the words of the first.
func (x *exam) eachCell(fits func(r *gridRow, way int) bool, say func(first *gridCell) (what, do string)) []sign {
	cells := x.cellsWhere(fits)
	if cells == nil {
		return nil
	}
	what, do := say(cells[0])
	return []sign{{what, do, cells, nil}}
}

// failsBy fits the cells that fail in that way.
func failsBy(kind trouble) func(r *gridRow, way int) bool {
	return func(r *gridRow, way int) bool { return r.trouble(way) == kind }
}

// otherThan are the PASV cells whose 227 names an address of that kind, which is not
// the control connection's.
func (x *exam) otherThan(kind func(announced, control netip.Addr) bool, what, do string) []sign {
	return x.eachCell(func(r *gridRow, way int) bool {
		c := &r.cells[way]
		return way == byPASV && c.offered && !isPlain(c.announced.Addr(), r.addr) && kind(c.announced.Addr(), r.addr)
	}, func(first *gridCell) (string, string) {
		if first.state == works {
			do += " We work around it by calling the control host."
		}
		return fmt.Sprintf(what, first.announced.Addr()), do
	})
}

func isLocal(a, _ netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() }

func seePrivate(x *exam) []sign {
	return x.otherThan(func(a, b netip.Addr) bool { return explain.IsPrivate(a) && !isLocal(a, b) },
		"PASV announces %v, an address behind NAT.", x.ask("set its public address", product.PublicAddress))
}

func seeLoopback(x *exam) []sign {
	return x.otherThan(isLocal, "PASV announces %v, where nobody but the server itself can call.", x.ask("set its public address", product.PublicAddress))
}

func seeOtherAddress(x *exam) []sign {
	return x.otherThan(func(a, b netip.Addr) bool { return !explain.IsPrivate(a) && !isLocal(a, b) },
		"PASV announces %v, which is not the host that we called.", x.ask("set the address that clients call", product.PublicAddress))
}

// epsvDead: EPSV's port can't be reached, while PASV's can.
func (r *gridRow) epsvDead() bool {
	t := r.trouble(byEPSV)
	return (t == portTimeout || t == portRefused) && r.cells[byPASV].state == works
}

// deadPorts makes a sign of the ports that can't be reached in that way.
func (x *exam) deadPorts(kind trouble, what, do string) []sign {
	dead := func(r *gridRow, way int) bool { return r.trouble(way) == kind && (way != byEPSV || !r.epsvDead()) }
	return x.eachCell(dead, func(*gridCell) (string, string) {
		var seen []uint16
		for _, c := range x.cellsWhere(dead) {
			if port := c.announced.Port(); port > 0 {
				seen = append(seen, port)
			}
		}
		ports := "Data ports"
		if len(seen) > 0 {
			ports += fmt.Sprintf(" such as %d", slices.Min(seen))
			if slices.Max(seen) != slices.Min(seen) {
				ports += fmt.Sprintf(" and %d", slices.Max(seen))
			}
		}
		return ports + what, x.ask(do, product.DataPorts)
	})
}

func seePortTimeout(x *exam) []sign {
	return x.deadPorts(portTimeout, " time out: a firewall before the server swallows the calls.",
		"open the passive ports in the firewall, and let the server use no others")
}

func seePortRefused(x *exam) []sign {
	return x.deadPorts(portRefused, " refuse the call: a firewall or NAT router before the server does not pass it on.",
		"have the passive ports passed on, and let the server use no others")
}

func seeEPSVDead(x *exam) []sign {
	return x.eachCell(func(r *gridRow, way int) bool { return way == byEPSV && r.epsvDead() }, func(first *gridCell) (string, string) {
		return fmt.Sprintf("Ports that EPSV gives, such as %d, can't be reached, while those of PASV can: a firewall before the server reads only PASV's replies.", first.announced.Port()),
			x.ask("open the passive ports in it for good", product.DataPorts) + " Until then --passive=classic uses PASV at once; without it a try by EPSV fails first."
	})
}

func seeNoCall(x *exam) []sign {
	return x.eachCell(failsBy(noCall), func(first *gridCell) (string, string) {
		why, told := "most likely a firewall or NAT on this side keeps the call out.", first.announced.Addr()
		if explain.IsPrivate(told) && slices.ContainsFunc(x.rows, func(r *gridRow) bool { return r.stage == inside && !explain.IsPrivate(r.addr) }) {
			why = fmt.Sprintf("this host is behind NAT, and the server was told %v.", told)
		}
		return "In active mode the server calls back but nothing arrives: " + why, "Nothing to fix at the server; use passive mode."
	})
}

func seeActiveRefused(x *exam) []sign {
	for _, r := range x.rows {
		eprt, port := &r.cells[byEPRT], &r.cells[byPORT]
		if eprt.state != absent || port.state != absent || eprt.err == nil {
			continue
		}
		what := "The server refuses active mode: " + sentence(replyText(eprt.err))
		if explain.IsPrivate(r.local) && !explain.IsPrivate(r.addr) {
			what += " This host is behind NAT: the server sees us come from another address than we tell it."
		}
		return []sign{{what: what, do: "Nothing to fix; use passive mode."}}
	}
	return nil
}

func seeNoEPSV(x *exam) []sign {
	for _, r := range x.rows {
		c := &r.cells[byEPSV]
		switch {
		case c.state != absent || c.err == nil:
		case r.addr.Is6():
			return []sign{{what: "The server does not do EPSV, without which there is no passive mode over IPv6: " + sentence(replyText(c.err)), do: x.ask("switch it on, or update the server", product.NoTopic)}}
		case x.features.Has("EPSV"):
			return []sign{{what: "FEAT names EPSV, and the server refuses it: " + sentence(replyText(c.err)), do: "We work around it by PASV."}}
		}
	}
	return nil
}

func seeSessionRefused(x *exam) []sign {
	return x.eachCell(failsBy(sessionNeeded), func(first *gridCell) (string, string) {
		return "TLS data connections are refused without session reuse, and the server does not take its own session back: " + sentence(replyText(first.err)),
			x.ask("update it, or drop the demand", product.SessionReuse)
	})
}

func seeTLSData(x *exam) []sign {
	return x.eachCell(failsBy(tlsTrouble), func(first *gridCell) (string, string) {
		return "TLS works on the control connection and fails on data connections: " + sentence(first.err.Error()),
			x.ask("look into its log; a middlebox that meddles with data connections is the other suspect", product.NoTopic)
	})
}

func seeNoCloseNotify(x *exam) []sign {
	return x.eachCell(func(r *gridRow, way int) bool {
		c := &r.cells[way]
		return c.state == works && c.tls != nil && c.cutShort && !c.enough
	}, func(*gridCell) (string, string) {
		return "TLS data connections end without close_notify: a download that somebody cut looks whole.",
			x.ask("update the server", product.NoTopic) + " We compare sizes."
	})
}

func seeRestart(x *exam) []sign {
	what := map[verdictWord]string{ignored: "the file from its start", wrong: "other bytes than belong there"}[x.checks.restart]
	if what == "" {
		return nil
	}
	return []sign{{
		what: "REST is a lie: the server says yes, and sends " + what + ". A resumed download would be wrong; we compare what overlaps, and refuse.",
		do:   x.ask("update the server, or switch REST off", product.Restartable),
	}}
}

func seeNoRestart(x *exam) []sign {
	if x.checks.restart != refused {
		return nil
	}
	return []sign{{what: "Downloads can't be resumed: to REST the server says " + sentence(x.checks.restReply.String()), do: x.ask("allow it", product.Restartable)}}
}

func seeSize(x *exam) []sign {
	k := &x.checks
	for _, s := range k.sizes {
		if s.size != k.came {
			return []sign{{
				what: fmt.Sprintf("%s says that %s has %s, and %s come.", s.by, ftp.Printable(k.file), count(s.size), count(k.came)),
				do:   "Nobody can tell a whole file from a short one then. " + x.ask("update the server", product.NoTopic),
			}}
		}
	}
	return nil
}

func seeMLSD(x *exam) []sign {
	if !x.checks.mlsdRefused {
		return nil
	}
	return []sign{{what: "FEAT names MLST, and the server refuses MLSD.", do: "We work around it by LIST, which knows less. " + x.ask("switch it on", product.NoTopic)}}
}

func seeZone(x *exam) []sign {
	off, ok := x.checks.zone()
	if !ok || off == 0 {
		return nil
	}
	way := "ahead of"
	if off < 0 {
		way = "behind"
	}
	do := "Nothing to fix"
	if x.hasMLSD() && !x.checks.mlsdRefused {
		do += ": MLSD has the times in UTC"
	}
	return []sign{{
		what: fmt.Sprintf("LIST shows times that are %s %s UTC, as MDTM tells.", hours(off), way),
		do:   do + ". The server's admin can have it show UTC" + x.inBrackets(product.ListTimes) + ".",
	}}
}

func seeAlone(x *exam) []sign {
	if !x.checks.alone {
		return nil
	}
	return []sign{{
		what: "The server lets in one connection at a time: to a second one it says " + sentence(replyText(x.checks.second)),
		do:   "Nothing has to be done: miniftp works over one connection there. The server's admin can allow more" + x.inBrackets(product.MoreConnections) + ".",
	}}
}

func seeWriteRefused(x *exam) []sign {
	if o := x.checks.write; o != nil && o.err != nil {
		return []sign{{what: "An upload fails: " + sentence(o.err.Error()), do: x.ask("let the user write there, if that is wanted", product.NoTopic)}}
	}
	return nil
}

func seeWriteDamaged(x *exam) []sign {
	if o := x.checks.write; o != nil && o.err == nil && o.came >= 0 && o.came != o.size {
		return []sign{{what: fmt.Sprintf("An upload of %s became a file of %s.", count(o.size), count(o.came)), do: x.ask("look at the disk and at the server's log", product.NoTopic)}}
	}
	return nil
}

func seeWriteLeft(x *exam) []sign {
	names, err := x.checks.left, x.checks.notDeleted
	if o := x.checks.write; o != nil && o.left != nil {
		names, err = append(slices.Clone(names), o.name), o.left
	}
	switch len(names) {
	case 0:
		return nil
	case 1:
		return []sign{{what: "The file of the trial, " + names[0] + ", is still there: " + sentence(err.Error()), do: "Have it removed by somebody who may."}}
	}
	return []sign{{what: "The files of the trials, " + strings.Join(names, ", ") + ", are still there: " + sentence(err.Error()), do: "Have them removed by somebody who may."}}
}

func count(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// isNoRoute: it is this host that has no such network.
func isNoRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

func isOutOfTime(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// connectReason is an error without the address, which is named already.
func connectReason(err error) string {
	if connect, ok := errors.AsType[*client.ConnectError](err); ok {
		return connect.Err.Error()
	}
	return err.Error()
}

// replyText is the reply in an error.
func replyText(err error) string {
	if no, ok := errors.AsType[*ftp.Error](err); ok {
		return no.Reply.String()
	}
	return err.Error()
}

// sentence makes what a server or the system says one, of bounded length.
func sentence(s string) string {
	s = strings.TrimSpace(ftp.Printable(s))
	if term.Cells(s) > 120 {
		s = term.Truncate(s, 120, "...")
	}
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".!?") {
		return s
	}
	return s + "."
}

// lower lets a sentence go on behind a colon.
func lower(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(c)) + s[n:]
}
