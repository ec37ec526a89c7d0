package serve

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/server"
)

// banner returns the text that serve prints when it is ready: what is served, to whom, at which URLs,
// and the command to fetch a file. Text is wrapped at width, the columns of the terminal; URLs,
// fingerprints and commands are not. If the output is not a terminal, width is 0, and each URL is on
// one line with the text that says who can reach it, so that scripts can find it.
func (cf *config) banner(roots *roots, ls []net.Listener, more [][2]string, t tlsBanner, width int) string {
	rows := [][2]string{{"miniftp serves " + ftp.Printable(cf.served()), cf.describe()}}
	first := ""
	for i, l := range ls {
		u, reach := listenerURL(l, t.scheme(i))
		rows = append(rows, [2]string{"  " + u, reach})
		if first == "" {
			first = u
		}
	}
	rows = append(rows, more...)
	var b strings.Builder
	oneLine := width == 0
	if oneLine {
		width = flags.HelpWidth
	}
	if !fits(rows[:1], width) {
		writeBelow(&b, rows[0], "  ", width)
		rows = rows[1:]
	}
	if oneLine || fits(rows, width) {
		for _, r := range rows {
			fmt.Fprintln(&b, strings.TrimRight(term.Pad(r[0], column(rows))+r[1], " "))
		}
	} else {
		for _, r := range rows {
			writeBelow(&b, r, "    ", width)
		}
	}
	if t.certificate != "" {
		writeBelow(&b, [2]string{"", t.certificate}, "  ", width)
	}
	if t.fingerprint != "" {
		fmt.Fprintln(&b, "  "+t.fingerprint)
	}
	b.WriteString(cf.invite(first, roots, t))
	b.WriteString("Ctrl-C stops.\n")
	return b.String()
}

// column returns the column at which the second halves of rows begin.
func column(rows [][2]string) (n int) {
	for _, r := range rows {
		n = max(n, term.Cells(r[0])+3)
	}
	return n
}

// fits reports whether rows fit in two columns.
func fits(rows [][2]string, width int) bool {
	for _, r := range rows {
		if column(rows)+term.Cells(r[1]) > width {
			return false
		}
	}
	return true
}

// writeBelow writes the second half of a row below the first one.
func writeBelow(b *strings.Builder, r [2]string, indent string, width int) {
	if r[0] != "" {
		fmt.Fprintln(b, r[0])
	}
	for _, line := range term.Wrap(r[1], max(width-len(indent), 20)) {
		fmt.Fprintln(b, indent+line)
	}
}

// served returns the root if all users have the same one, else the number of roots.
func (cf *config) served() string {
	var all []string
	for _, a := range cf.Everybody() {
		if spec := cf.Template(a); !slices.Contains(all, spec) {
			all = append(all, spec)
		}
	}
	if len(all) == 1 {
		return ftp.MaskURL(all[0])
	}
	return fmt.Sprintf("%d directories", len(all))
}

// describe returns which users may do what.
func (cf *config) describe() string {
	anyone := ""
	var named []string
	may := map[string]string{"ro": " may read", "rw": " may read and write", "drop": " may only upload"}
	for _, a := range cf.Users {
		what, ok := may[a.May()]
		if !ok {
			what = " may " + a.May()
		}
		if n := len(a.Mounts); n > 0 {
			what += fmt.Sprintf(" (mounts: %d)", n)
		}
		if a.Anyone {
			anyone = "anyone" + what
			continue
		}
		named = append(named, ftp.Printable(a.Name)+what)
	}
	switch {
	case len(named) == 0 && anyone == "anyone may read":
		return anyone + ", nobody may write"
	case len(named) > 4:
		named = []string{fmt.Sprintf("%d users", len(named))}
	}
	if cf.AsksOthers() {
		named = append(named, "users of "+strings.Join(cf.sourceNames(), ", "))
	}
	if anyone != "" {
		named = append(named, anyone)
	}
	return strings.Join(named, "; ")
}

// invite returns the commands to fetch a file if a user may read, else those to upload one.
func (cf *config) invite(url string, roots *roots, t tlsBanner) string {
	if len(cf.Users) == 0 { // all are users of a source of --auth
		return fmt.Sprintf("log in as one of them:\n  curl %s-u NAME %s\n  miniftp ls %s%s\n", t.curl, strings.Replace(url, "ftpes://", "ftp://", 1), t.miniftp, strings.Replace(url, "://", "://NAME@", 1))
	}
	who := cf.Users[0]
	for _, a := range cf.Users {
		if permsOf(a.Perms).Has(server.PermRead) && (a.Anyone || !permsOf(who.Perms).Has(server.PermRead)) {
			who = a
		}
	}
	login, option := "", t.curl
	if !who.Anyone {
		login, option = escapeAll(who.Name)+"@", t.curl+"-u "+verb.ShellWord(who.Name)+" "
	}
	as := strings.Replace(url, "://", "://"+login, 1)
	url = strings.Replace(url, "ftpes://", "ftp://", 1) // t.curl has --ssl-reqd, which means the same
	if !permsOf(who.Perms).Has(server.PermRead) {
		return fmt.Sprintf("upload to it:\n  curl %s-T FILE %s\n  miniftp put %sFILE %s\n", option, url, t.miniftp, as)
	}
	files, lease, _, err := roots.of(cf.Trees(who)[0]).try(roots.ctx)
	if err != nil {
		return ""
	}
	name := ""
	if files != nil {
		defer lease.Close()
		name = escapeAll(sample(files))
	}
	if name != "" && who.Home == "" {
		return fmt.Sprintf("fetch from it:\n  curl %s-O %s%s\n  miniftp get %s%s%s\n", option, url, name, t.miniftp, as, name)
	}
	return fmt.Sprintf("list it:\n  curl %s%s\n  miniftp ls %s%s\n", option, url, t.miniftp, as)
}

// escapeAll encodes all characters that a shell or another program could interpret.
func escapeAll(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// listenerURL returns a URL of a listener, and who can reach it.
func listenerURL(l net.Listener, scheme string) (url, reach string) {
	url, port, reach := addrURL(l.Addr(), scheme)
	if reach == onlyHere {
		reach += fmt.Sprintf(" (--listen :%d lets others connect)", port)
	}
	return url, reach
}

// onlyHere says that a loopback address can be reached from this machine.
const onlyHere = "this machine only"

// addrURL returns a URL of an address that is listened on, its port, and who can reach it.
func addrURL(a net.Addr, scheme string) (url string, port uint16, reach string) {
	addr, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return scheme + "://" + a.String() + "/", 0, ""
	}
	at := func(host string) string {
		if fmt.Sprint(addr.Port()) == ftp.DefaultPort(scheme) {
			return scheme + "://" + host + "/"
		}
		return fmt.Sprintf("%s://%s:%d/", scheme, host, addr.Port())
	}
	ip := addr.Addr()
	switch {
	case ip.IsLoopback():
		return at(bracketed(ip)), addr.Port(), onlyHere
	case ip.IsUnspecified():
		return at(ownHost()), addr.Port(), "any host that can reach this machine"
	}
	return at(bracketed(ip)), addr.Port(), "any host that can reach this address"
}

func bracketed(ip netip.Addr) string {
	if ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return ip.String()
}

// ownHost returns an address at which others can reach this machine. It prefers an address to the host
// name, because others may not be able to look that up.
func ownHost() string {
	addrs, _ := net.InterfaceAddrs()
	var six netip.Addr
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		switch ip := p.Addr(); {
		case err != nil, !ip.IsGlobalUnicast():
		case ip.Is4():
			return ip.String()
		case !six.IsValid():
			six = ip
		}
	}
	if six.IsValid() {
		return bracketed(six)
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "127.0.0.1"
}

// sample returns the name of a file in the root, for the command in the banner: README.md if it exists,
// else one with a name that needs no escapes, if possible.
func sample(files afero.Fs) string {
	d, err := files.Open("/")
	if err != nil {
		return ""
	}
	defer d.Close()
	infos, _ := d.Readdir(200)
	name := ""
	for _, fi := range infos {
		if !fi.Mode().IsRegular() || strings.HasPrefix(fi.Name(), ".") {
			continue
		}
		if strings.EqualFold(fi.Name(), "README.md") {
			return fi.Name()
		}
		if name == "" || escapeAll(name) != name && escapeAll(fi.Name()) == fi.Name() {
			name = fi.Name()
		}
	}
	return name
}
