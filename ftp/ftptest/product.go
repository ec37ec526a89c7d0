package ftptest

import (
	"errors"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"miniftp/ftp"
)

// Product is a kind of FTP server: its words, its listings, what it refuses. It is data, by
// which the relay rephrases what the real server says; files and rights are that server's.
// Those of this package are VSFTPD, ProFTPD, PureFTPd, Pyftpdlib and IIS. Change one for a
// server that is set up in another way:
//
//	p := ftptest.VSFTPD()
//	p.Rules = append([]ftptest.Rule{{"SIZE", "550 Permission denied."}}, p.Rules...)
//	srv := ftptest.NewServer(t, fs, ftptest.Like(p))
type Product struct {
	Name  string // and version
	Knows string // its verbs, with blanks between them
	Rules []Rule // the first one that fits a command or reply says what the client reads

	// List writes a line of LIST, and Facts the facts of MLSD and MLST, without the name. A
	// Product without List shows listings as the server makes them.
	List, Facts func(*ftp.Entry) string
	// Hidden are the listings that show names which begin with a dot, and Dots those that
	// show "." and "..": of LIST, LIST -a, NLST, NLST -a and MLSD.
	Hidden, Dots []string
	BareNames    bool // NLST of a directory shows names without the directory
}

// Rule is one thing that a Product says.
//
// On is a verb, several with | between them, "*" for all or "?" for those that the Product
// does not know. Arguments
// may follow: "MODE B" or "SITE CHMOD"; "#" is one that is a time (20060102150405), and "_"
// one that is no option; {user} is who is logged in. "MDTM/" is MDTM of a directory. After a + the rule is for clients that are logged in, after a -
// for those that are not. "GREETING" is the greeting.
//
// Such a command is not passed on; the client is given Say. If On continues with a reply
// code of package server, "DELE 550", the command is passed on, and Say takes the place of
// that reply. Words after the code have to be in the reply, in any case: "RMD 550 not empty".
//
// Say is what goes over the wire, its lines parted by \n. It may be several replies: a 150
// and a 226 in place of the 550 of a transfer make an empty one. In it stand
//
//	{verb} {arg} {first} the verb; the argument; its first word
//	{name} {path}        the path in the argument, as it came and absolute
//	{host} {hostport}    the address of PORT and EPRT
//	{user} {cwd}         who is logged in; the current directory
//	{addr} {port}        of 227 and 229
//	{quoted}             the quoted path of a 257
//	{size} {bytes}       of the file; of the transfer, as the 150 says
//	{facts} {list}       of MLST; the lines of STAT
//	{count}              how many lines a listing had
//	{type}               BINARY or ASCII
//	{clock}              the time of day
//
// A line that begins with ~ is there, without it, if the server has TLS.
type Rule struct{ On, Say string }

// clone returns a Product that its owner may change.
func (p Product) clone() Product {
	p.Rules, p.Hidden, p.Dots = slices.Clone(p.Rules), slices.Clone(p.Hidden), slices.Clone(p.Dots)
	return p
}

// Like makes the server behave as a Product does.
func Like(p Product) Option { return func(c *config) { c.product = &p } }

// says returns what the Product says to a command, which is not passed on then, or to the
// server's reply to it. x.mu is held, as by fill.
func (x *session) says(cmd ftp.Command, in bool, r *ftp.Reply) (string, bool) {
	p := x.s.product
	if p == nil {
		return "", false
	}
	words := strings.Fields(strings.ToUpper(cmd.Verb + " " + cmd.Arg))
	if cmd.Verb == Greeting {
		words = []string{"GREETING"}
	}
	for _, rule := range p.Rules {
		on := rule.On
		if strings.HasPrefix(on, "+") || strings.HasPrefix(on, "-") {
			if in != (on[0] == '+') {
				continue
			}
			on = on[1:]
		}
		on = strings.ReplaceAll(on, "{user}", x.seen.user)
		if p.fits(on, words, r, func() bool { return x.isDir(cmd) }) {
			return rule.Say, true
		}
	}
	return "", false
}

// fits reports whether a rule is for that command, or for that reply to it.
func (p *Product) fits(on string, words []string, r *ftp.Reply, isDir func() bool) bool {
	for i, want := range strings.Fields(on) {
		if code, err := strconv.Atoi(want); err == nil && len(want) == 3 && i > 0 {
			_, text, _ := strings.Cut(on, want)
			return r != nil && int(r.Code) == code && strings.Contains(strings.ToLower(r.Text()), strings.ToLower(strings.TrimSpace(text)))
		}
		bare, dir := strings.CutSuffix(want, "/")
		switch {
		case i >= len(words):
			return false
		case want == "*", slices.Contains(strings.Split(strings.ToUpper(want), "|"), words[i]), want == "_" && words[i][0] != '-':
		case want == "#" && len(words[i]) == len("20060102150405") && strings.Trim(words[i], "0123456789") == "":
		case dir && bare == words[i] && isDir():
		case want == "?" && !slices.Contains(strings.Fields(p.Knows), words[0]):
		default:
			return false
		}
	}
	return r == nil
}

// seen keeps what the replies have shown of a session's state.
type seen struct {
	in        bool
	user, cwd string
	binary    bool
}

func (s *seen) path(arg string) string {
	if path.IsAbs(arg) {
		return path.Clean(arg)
	}
	return path.Join("/", s.cwd, arg)
}

func (x *session) isDir(cmd ftp.Command) bool {
	info, err := x.s.FS.Stat(x.seen.path(nameIn(cmd)))
	return err == nil && info.IsDir()
}

// nameIn is the path in a command's argument.
func nameIn(cmd ftp.Command) string {
	skip := 0
	switch cmd.Verb {
	case "SITE":
		skip = 2
	case "MFMT":
		skip = 1
	}
	name := cmd.Arg
	for range skip {
		_, name, _ = strings.Cut(name, " ")
	}
	return name
}

// addressIn is the address of a PORT or EPRT.
func addressIn(cmd ftp.Command) (netip.AddrPort, error) {
	switch cmd.Verb {
	case "PORT":
		return ftp.ParseHostPort(cmd.Arg)
	case "EPRT":
		return ftp.ParseEPRT(cmd.Arg)
	}
	return netip.AddrPort{}, errors.New("no address")
}

var (
	inQuotes = regexp.MustCompile(`^"(?:[^"]|"")*"`)
	inBytes  = regexp.MustCompile(`\((\d+) bytes\)`)
)

// fill puts what is known into what a Product says.
func (x *session) fill(say string, a *asked, r *ftp.Reply) string {
	if strings.Contains(say, "~") {
		say = tlsLines(say, x.s.tls != nil)
	}
	if !strings.Contains(say, "{") {
		return say
	}
	name := nameIn(a.cmd)
	file := x.seen.path(name)
	first, _, _ := strings.Cut(a.cmd.Arg, " ")
	with := []string{"{verb}", a.cmd.Verb, "{arg}", a.cmd.Arg, "{first}", first, "{name}", name, "{user}", x.seen.user, "{cwd}", path.Join("/", x.seen.cwd), "{clock}", time.Now().Format("15:04")}
	if addr, err := addressIn(a.cmd); err == nil {
		with = append(with, "{host}", addr.Addr().String(), "{hostport}", strconv.Itoa(int(addr.Port())))
	}
	if r != nil {
		text := r.Last()
		quoted := inQuotes.FindString(text)
		if p, err := ftp.Parse257(text); err == nil && quoted != "" {
			file = p
		}
		with = append(with, "{quoted}", quoted)
		if m := inBytes.FindStringSubmatch(text); m != nil {
			with = append(with, "{bytes}", m[1])
		}
		if port, err := ftp.Parse229(text); err == nil {
			with = append(with, "{port}", strconv.Itoa(int(port)))
		}
		if addr, err := ftp.Parse227(text); err == nil {
			with = append(with, "{addr}", ftp.FormatHostPort(addr))
		}
		if len(r.Lines) > 2 {
			with = append(with, x.s.product.inner(r.Lines[1:len(r.Lines)-1])...)
		}
	}
	if info, err := x.s.FS.Stat(file); err == nil {
		size := strconv.FormatInt(info.Size(), 10)
		with = append(with, "{size}", size, "{bytes}", size) // of a transfer of all that is not counted
	}
	if x.seen.binary {
		with = append(with, "{type}", "BINARY")
	} else {
		with = append(with, "{type}", "ASCII")
	}
	if a.data != nil && a.data.lines != nil {
		with = append(with, "{count}", strconv.Itoa(a.data.lines.count()))
	}
	return strings.NewReplacer(append(with, "{path}", file)...).Replace(say)
}

// tlsLines drops the lines for servers with TLS, or the marks before them.
func tlsLines(say string, have bool) string {
	var lines []string
	for _, line := range strings.Split(say, "\n") {
		bare, marked := strings.CutPrefix(line, "~")
		if have || !marked {
			lines = append(lines, bare)
		}
	}
	return strings.Join(lines, "\n")
}

// inner renders the inner lines of the replies to MLST and STAT.
func (p *Product) inner(lines []string) []string {
	if e, err := ftp.ParseMLSx(strings.TrimPrefix(lines[0], " ")); err == nil && p.Facts != nil {
		return []string{"{facts}", p.Facts(&e)}
	}
	var list ftp.ListParser
	var out []string
	for _, line := range lines {
		line = strings.TrimPrefix(line, " ")
		if e, ok, err := list.Parse(line); ok && err == nil && p.List != nil {
			line = p.List(&e)
		}
		out = append(out, line)
	}
	return []string{"{list}", strings.Join(out, "\n")}
}

// phrase returns a reply as the client is to read it. over: it takes the place of a refused
// transfer by one without bytes.
func (x *session) phrase(a *asked, r ftp.Reply) (b []byte, over bool) {
	say, ok := x.says(a.cmd, a.in, &r)
	if !ok {
		return r.Append(nil), false
	}
	b = wire(x.fill(say, a, &r))
	return b, ftp.IsTransfer(a.cmd.Verb) && r.Code >= 400 && b[0] == '1'
}

// wire makes lines for the wire of a Product's words.
func wire(say string) []byte {
	return []byte(strings.ReplaceAll(say, "\n", "\r\n") + "\r\n")
}

// reply keeps up with what the server has agreed to.
func (s *seen) reply(a *asked, r ftp.Reply) {
	switch {
	case a.cmd.Verb == "USER" && r.Code < 400:
		s.user, s.in = a.cmd.Arg, r.Code == 230
	case a.cmd.Verb == "PASS":
		s.in = r.Code == 230
	case r.Code == 220, r.Code == 234: // REIN, AUTH
		s.in = false
	case a.cmd.Verb == "TYPE" && r.Code == 200:
		s.binary = !strings.HasPrefix(strings.ToUpper(a.cmd.Arg), "A")
	case r.Code == 250:
		if dir, ok := strings.CutPrefix(r.Last(), "You are in "); ok {
			s.cwd = dir
		}
	}
}

// listing collects what a listing brings, and renders it in a Product's way.
type listing struct {
	p            *Product
	verb         string
	root         bool // it is that of "/"
	hidden, dots bool
	raw          []byte

	mu    sync.Mutex
	lines []string
}

// listing returns how to render the listing that cmd asks for, nil if it asks for none. It
// changes cmd so that the server lists all that the Product shows.
func (x *session) listing(cmd *ftp.Command) *listing {
	p := x.s.product
	if p == nil || p.List == nil || cmd.Verb != "LIST" && cmd.Verb != "NLST" && cmd.Verb != "MLSD" {
		return nil
	}
	kind, dir := cmd.Verb, cmd.Arg
	if options, rest, _ := strings.Cut(cmd.Arg, " "); strings.HasPrefix(options, "-") && cmd.Verb != "MLSD" {
		dir = rest
		if strings.Contains(options, "a") {
			kind += " -a"
		}
	}
	l := &listing{p: p, verb: cmd.Verb, root: x.seen.path(dir) == "/", hidden: slices.Contains(p.Hidden, kind), dots: slices.Contains(p.Dots, kind)}
	if cmd.Verb != "MLSD" && (l.hidden || l.dots) {
		cmd.Arg = strings.TrimRight("-a "+dir, " ")
	}
	return l
}

// count is how many lines have come: all of them only after awaitSent.
func (l *listing) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

func (l *listing) add(b []byte) { l.raw = append(l.raw, b...) }

// render returns the listing, of which b is the end.
func (l *listing) render(b []byte) []byte {
	l.add(b)
	l.mu.Lock()
	defer l.mu.Unlock()
	var list ftp.ListParser
	for line := range strings.Lines(string(l.raw)) {
		line = strings.TrimRight(line, "\r\n")
		name, out := line, line
		switch l.verb {
		case "LIST":
			if e, ok, err := list.Parse(line); ok && err == nil {
				name, out = e.Name, l.p.List(&e)
			}
		case "MLSD":
			e, err := ftp.ParseMLSx(line)
			if err != nil || l.p.Facts == nil {
				break
			}
			name, out = e.Name, l.p.Facts(&e)+" "+e.Name
			if root := e; e.Type == ftp.CDirEntry && l.dots && l.root { // it has no parent
				root.Type, root.Name = ftp.PDirEntry, ".."
				l.lines = append(l.lines, l.p.Facts(&root)+" ..")
			}
		case "NLST":
			if name = path.Base(line); l.p.BareNames {
				out = name
			}
		}
		switch {
		case name == "." || name == "..":
			if !l.dots {
				continue
			}
		case strings.HasPrefix(name, ".") && !l.hidden:
			continue
		}
		l.lines = append(l.lines, out)
	}
	if len(l.lines) == 0 {
		return nil
	}
	return wire(strings.Join(l.lines, "\n"))
}
