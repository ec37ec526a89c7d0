package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/product"
	"miniftp/ftp"
)

// This file has the functions of the rules about data connections, files and listings.

// cellsWhere returns the cells that fit.
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

// eachCell returns one sign for all cells that fit, with the texts that say returns for the first of them. If no cell
// fits, it returns none.
func (x *exam) eachCell(fits func(r *gridRow, way int) bool, say func(first *gridCell) (what, do string)) []sign {
	cells := x.cellsWhere(fits)
	if cells == nil {
		return nil
	}
	what, do := say(cells[0])
	return []sign{{what, do, cells, nil}}
}

// failsBy returns a function for eachCell that reports whether a cell has the given trouble.
func failsBy(kind trouble) func(r *gridRow, way int) bool {
	return func(r *gridRow, way int) bool { return r.trouble(way) == kind }
}

// otherThan returns a sign for the PASV cells whose 227 announces another address than that of the control
// connection, if it is of the given kind.
func (x *exam) otherThan(kind func(announced, control netip.Addr) bool, what, do string) []sign {
	return x.eachCell(func(r *gridRow, way int) bool {
		c := &r.cells[way]
		return way == byPASV && c.offered && !isSameHost(c.announced.Addr(), r.addr) && kind(c.announced.Addr(), r.addr)
	}, func(first *gridCell) (string, string) {
		if first.state == works {
			do += " miniftp works around it by using the address of the control connection."
		}
		return fmt.Sprintf(what, first.announced.Addr()), do
	})
}

func isLocal(a, _ netip.Addr) bool { return a.IsLoopback() || a.IsUnspecified() }

func seePrivate(x *exam) []sign {
	return x.otherThan(func(a, b netip.Addr) bool { return explain.IsPrivate(a) && !isLocal(a, b) },
		"PASV announces %v, a private address behind NAT.", x.ask("set its public address", product.PublicAddress))
}

func seeLoopback(x *exam) []sign {
	return x.otherThan(isLocal, "PASV announces %v, which only the server itself can reach.", x.ask("set its public address", product.PublicAddress))
}

func seeOtherAddress(x *exam) []sign {
	return x.otherThan(func(a, b netip.Addr) bool { return !explain.IsPrivate(a) && !isLocal(a, b) },
		"PASV announces %v, which is not the host of the control connection.", x.ask("set the address that clients connect to", product.PublicAddress))
}

// epsvDead reports whether the ports that EPSV announces can't be reached, but those of PASV can.
func (r *gridRow) epsvDead() bool {
	t := r.trouble(byEPSV)
	return (t == portTimeout || t == portRefused) && r.cells[byPASV].state == works
}

// deadPorts returns a sign for the cells whose ports can't be reached, with the given trouble.
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
	return x.deadPorts(portTimeout, " time out: a firewall in front of the server drops the connections.",
		"open the passive ports in the firewall, and make the server use only these")
}

func seePortRefused(x *exam) []sign {
	return x.deadPorts(portRefused, " refuse the connection: a firewall or NAT router in front of the server does not forward it.",
		"forward the passive ports, and make the server use only these")
}

func seeEPSVDead(x *exam) []sign {
	return x.eachCell(func(r *gridRow, way int) bool { return way == byEPSV && r.epsvDead() }, func(first *gridCell) (string, string) {
		return fmt.Sprintf("Ports announced by EPSV, such as %d, can't be reached, but those of PASV can: a firewall in front of the server reads only the replies to PASV.", first.announced.Port()),
			x.ask("open the passive ports in it permanently", product.DataPorts) + " Until then, --passive=classic uses PASV at once; without it, EPSV is tried first and fails."
	})
}

func seeNoCall(x *exam) []sign {
	return x.eachCell(failsBy(noCall), func(first *gridCell) (string, string) {
		why, addr := "most likely a firewall or NAT on this side blocks it.", first.announced.Addr()
		if explain.IsPrivate(addr) && slices.ContainsFunc(x.rows, func(r *gridRow) bool { return r.stage == atEnd && !explain.IsPrivate(r.addr) }) {
			why = fmt.Sprintf("this host is behind NAT, and %v, which we announced, is a private address.", addr)
		}
		return "In active mode, the server's data connection does not arrive: " + why, "There is nothing to fix at the server; use passive mode."
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
			what += " This host is behind NAT: the server sees another address than the one that we announce."
		}
		return []sign{{what: what, do: "There is nothing to fix; use passive mode."}}
	}
	return nil
}

func seeNoEPSV(x *exam) []sign {
	for _, r := range x.rows {
		c := &r.cells[byEPSV]
		switch {
		case c.state != absent || c.err == nil:
		case r.addr.Is6():
			return []sign{{what: "The server does not support EPSV, so there is no passive mode over IPv6: " + sentence(replyText(c.err)), do: x.ask("enable it, or update the server", product.NoTopic)}}
		case x.features.Has("EPSV"):
			return []sign{{what: "FEAT lists EPSV, but the server refuses it: " + sentence(replyText(c.err)), do: "miniftp uses PASV instead."}}
		}
	}
	return nil
}

func seeSessionRefused(x *exam) []sign {
	return x.eachCell(failsBy(sessionNeeded), func(first *gridCell) (string, string) {
		return "The server refuses TLS data connections without session reuse, but does not let us resume its session: " + sentence(replyText(first.err)),
			x.ask("update it, or turn the requirement off", product.SessionReuse)
	})
}

func seeTLSData(x *exam) []sign {
	return x.eachCell(failsBy(tlsTrouble), func(first *gridCell) (string, string) {
		return "TLS works on the control connection but fails on data connections: " + sentence(first.err.Error()),
			x.ask("check its log; the cause may also be a middlebox that changes data connections", product.NoTopic)
	})
}

func seeNoCloseNotify(x *exam) []sign {
	return x.eachCell(func(r *gridRow, way int) bool {
		c := &r.cells[way]
		return c.state == works && c.tls != nil && c.cutShort && !c.enough
	}, func(*gridCell) (string, string) {
		return "TLS data connections end without close_notify: a download that was cut off looks complete.",
			x.ask("update the server", product.NoTopic) + " miniftp compares sizes."
	})
}

func seeRestart(x *exam) []sign {
	what := map[verdictWord]string{ignored: "the file from its start", wrong: "the wrong bytes"}[x.checks.restart]
	if what == "" {
		return nil
	}
	return []sign{{
		what: "REST does not work: the server accepts it, but then sends " + what + ". A resumed download would be damaged; miniftp compares the overlap and refuses it.",
		do:   x.ask("update the server, or disable REST", product.Restartable),
	}}
}

func seeNoRestart(x *exam) []sign {
	if x.checks.restart != refused {
		return nil
	}
	return []sign{{what: "Downloads can't be resumed: the server answers REST with " + sentence(x.checks.restReply.String()), do: x.ask("allow it", product.Restartable)}}
}

func seeSize(x *exam) []sign {
	k := &x.checks
	for _, s := range k.sizes {
		if s.size != k.received {
			return []sign{{
				what: fmt.Sprintf("%s says that %s has %s, but %s arrive.", s.by, ftp.Printable(k.file), byteCount(s.size), byteCount(k.received)),
				do:   "Clients can't detect a download that was cut off. " + x.ask("update the server", product.NoTopic),
			}}
		}
	}
	return nil
}

func seeMLSD(x *exam) []sign {
	if !x.checks.mlsdRefused {
		return nil
	}
	return []sign{{what: "FEAT lists MLST, but the server refuses MLSD.", do: "miniftp uses LIST instead, which has less information. " + x.ask("enable it", product.NoTopic)}}
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
	do := "There is nothing to fix"
	if x.hasMLSD() && !x.checks.mlsdRefused {
		do += ": MLSD has the times in UTC"
	}
	return []sign{{
		what: fmt.Sprintf("LIST shows times that are %s %s UTC, compared with MDTM.", hours(off), way),
		do:   do + ". The server's admin can make LIST show UTC" + x.inBrackets(product.ListTimes) + ".",
	}}
}

func seeOneConnection(x *exam) []sign {
	if !x.checks.oneOnly {
		return nil
	}
	return []sign{{
		what: "The server allows only one connection at a time: it answers a second one with " + sentence(replyText(x.checks.second)),
		do:   "There is nothing to fix: miniftp then uses one connection. The server's admin can allow more" + x.inBrackets(product.MoreConnections) + ".",
	}}
}

func seeWriteRefused(x *exam) []sign {
	if o := x.checks.write; o != nil && o.err != nil {
		return []sign{{what: "An upload fails: " + sentence(o.err.Error()), do: x.ask("let the user write there, if that is intended", product.NoTopic)}}
	}
	return nil
}

func seeWriteDamaged(x *exam) []sign {
	if o := x.checks.write; o != nil && o.err == nil && o.received >= 0 && o.received != o.size {
		return []sign{{what: fmt.Sprintf("An upload of %s became a file of %s.", byteCount(o.size), byteCount(o.received)), do: x.ask("check the disk and the server's log", product.NoTopic)}}
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
		return []sign{{what: "The test file " + names[0] + " can't be deleted: " + sentence(err.Error()), do: "Somebody with the permission must delete it."}}
	}
	return []sign{{what: "The test files " + strings.Join(names, ", ") + " can't be deleted: " + sentence(err.Error()), do: "Somebody with the permission must delete them."}}
}
