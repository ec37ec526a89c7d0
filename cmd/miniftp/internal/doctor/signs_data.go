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
