package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

// banner says what is served, to whom, at which URL, and what a neighbour would type.
func banner(root string, files afero.Fs, who admitted, ls []net.Listener) string {
	rows := [][2]string{{"miniftp serves " + ftp.Printable(root), who.describe()}}
	first := ""
	for _, l := range ls {
		u, reach := listenerURL(l)
		rows = append(rows, [2]string{"  " + u, reach})
		if first == "" {
			first = u
		}
	}
	column := 0
	for _, r := range rows {
		column = max(column, cells(r[0])+3)
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintln(&b, strings.TrimRight(pad(r[0], column)+r[1], " "))
	}
	b.WriteString(who.invite(first, files))
	b.WriteString("Ctrl-C stops.\n")
	return b.String()
}

// describe says who may do what.
func (a admitted) describe() string {
	anyone := map[string]string{"ro": "anyone may read", "rw": "anyone may read and write"}[a.anon]
	if len(a.users) == 0 {
		if a.anon == "ro" {
			anyone += ", nobody may write"
		}
		return anyone
	}
	may := map[string]string{"ro": " may read", "rw": " may read and write", "drop": " may only upload"}
	var all []string
	for _, u := range a.users {
		all = append(all, ftp.Printable(u.name)+may[u.perm])
	}
	if anyone != "" {
		all = append(all, anyone)
	}
	return strings.Join(all, "; ")
}

// invite is the commands to fetch with, for who may read, else those to upload.
func (a admitted) invite(url string, files afero.Fs) string {
	login, option := "", ""
	reads := a.anon != "off"
	for _, u := range a.users {
		if !reads {
			login, option = escapeAll(u.name)+"@", "-u "+shellWord(u.name)+" "
			reads = u.perm != "drop"
		}
	}
	as := strings.Replace(url, "ftp://", "ftp://"+login, 1)
	if !reads {
		return fmt.Sprintf("upload to it:\n  curl %s-T FILE %s\n  miniftp put FILE %s\n", option, url, as)
	}
	if name := escapeAll(sample(files)); name != "" {
		return fmt.Sprintf("fetch from it:\n  curl %s-O %s%s\n  miniftp get %s%s\n", option, url, name, as, name)
	}
	return fmt.Sprintf("look into it:\n  curl %s%s\n  miniftp ls %s\n", option, url, as)
}

// escapeAll encodes all that a shell or another program could take for something else.
func escapeAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if plainWord.MatchString(s[i:i+1]) && !strings.Contains("@%:/+=,", s[i:i+1]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

// listenerURL is a URL that leads to a listener, and who can follow it.
func listenerURL(l net.Listener) (url, reach string) {
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return "ftp://" + l.Addr().String() + "/", ""
	}
	at := func(host string) string {
		if addr.Port() == 21 {
			return "ftp://" + host + "/"
		}
		return fmt.Sprintf("ftp://%s:%d/", host, addr.Port())
	}
	ip := addr.Addr()
	switch {
	case ip.IsLoopback():
		return at(bracketed(ip)), fmt.Sprintf("this machine only (--listen :%d opens it to others)", addr.Port())
	case ip.IsUnspecified():
		return at(ownHost()), "every network that reaches this machine"
	}
	return at(bracketed(ip)), "whoever reaches that address"
}

func bracketed(ip netip.Addr) string {
	if ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return ip.String()
}

// ownHost is how others may call this machine: by an address of its own, as its
// name may be known to nobody else.
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

// sample is a file that is there, for the command to show: one with a plain name
// if there is any.
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
