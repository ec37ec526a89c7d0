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

// Product describes an FTP server product: its replies, its listings and the commands it
// refuses. The relay uses the description to rewrite what the real server sends; files and
// permissions are those of the real server. The products of this package are VSFTPD, ProFTPD,
// PureFTPd, Pyftpdlib and IIS. Change one to imitate another configuration:
//
//	p := ftptest.VSFTPD()
//	p.Rules = append([]ftptest.Rule{{"SIZE", "550 Permission denied."}}, p.Rules...)
//	srv := ftptest.NewServer(t, fs, ftptest.Like(p))
type Product struct {
	Name  string // with its version
	Knows string // the supported verbs, separated by blanks
	Rules []Rule // the first rule that matches a command or a reply is applied

	// List returns a line of LIST. Facts returns the facts of an entry of MLSD or MLST, without
	// the name. If List is nil, listings are not rewritten.
	List, Facts func(*ftp.Entry) string
	// Hidden holds the kinds of listing that show names beginning with a dot, and Dots those
	// that show "." and "..". The kinds are LIST, LIST -a, NLST, NLST -a and MLSD.
	Hidden, Dots []string
	BareNames    bool // NLST of a directory shows names without the directory
}

// Rule is one reply of a Product: On is the condition, and Say the text of the reply.
//
// On begins with a verb, or with several separated by |. "*" matches all verbs, and "?" those
// that the Product does not support. "MDTM/" matches MDTM of a directory. "GREETING" matches
// the greeting. With a + before it, the rule is for clients that are logged in, and with a - for
// those that are not.
//
// Arguments may follow the verb: "MODE B" or "SITE CHMOD". "#" matches an argument that is a time
// (20060102150405), "_" one that is not an option, and {user} the name of the user.
//
// Without a reply code, the command is not passed to the server, and Say is the reply. With a reply
// code at the end, as in "DELE 550", the command is passed to the server, and Say replaces a reply
// with that code. Words after the code must be in the text of the reply, in upper or lower case:
// "RMD 550 not empty".
//
// Say is the reply with its codes. Its lines are separated by \n. It may be more than one reply: a
// 150 and a 226 instead of the 550 of a transfer make an empty transfer. The following words are
// replaced:
//
//	{verb} {arg} {first} the verb; the argument; the first word of the argument
//	{name} {path}        the path in the argument, as the client sent it; the absolute path
//	{host} {hostport}    the address in PORT and EPRT
//	{user} {cwd}         the name of the user; the current directory
//	{addr} {port}        the address in a 227; the port in a 229
//	{quoted}             the quoted path in a 257
//	{size} {bytes}       the size of the file; that of the transfer, as in the 150
//	{facts} {list}       the facts in MLST; the lines in STAT
//	{count}              the number of lines of a listing
//	{type}               BINARY or ASCII
//	{clock}              the time of day
//
// A line that begins with ~ is sent, without the ~, only if the server has TLS.
type Rule struct{ On, Say string }

// clone returns a copy of p whose slices the caller may change.
func (p Product) clone() Product {
	p.Rules, p.Hidden, p.Dots = slices.Clone(p.Rules), slices.Clone(p.Hidden), slices.Clone(p.Dots)
	return p
}

// Like makes the server behave like p.
func Like(p Product) Option { return func(c *config) { c.product = &p } }

// says returns the Product's reply to a command, or, if r is not nil, its replacement for the
// server's reply r. in is true if the client is logged in. x.mu must be held, also for fill.
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

// fits reports whether the condition on matches a command, or a reply to it if r is not nil.
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

// seen is the state of a session as the replies have shown it.
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

// nameIn returns the path in a command's argument.
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

// addressIn returns the address in a PORT or EPRT.
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

// fill replaces the words in braces in a Product's reply. r is the server's reply, or nil.
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
		with = append(with, "{size}", size, "{bytes}", size) // {bytes} only if the 150 did not show it
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

// tlsLines removes the ~ before lines for servers with TLS or, without TLS, these lines.
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

// inner returns the inner lines of a reply to MLST or STAT as replacements for fill.
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

// phrase returns the bytes to send to the client for the server's reply r. over is true if the
// server refused a transfer that is, in the Product, one without data.
func (x *session) phrase(a *asked, r ftp.Reply) (b []byte, over bool) {
	say, ok := x.says(a.cmd, a.in, &r)
	if !ok {
		return r.Append(nil), false
	}
	b = wire(x.fill(say, a, &r))
	return b, ftp.IsTransfer(a.cmd.Verb) && r.Code >= 400 && b[0] == '1'
}

// wire returns a Product's reply with the line endings of the wire.
func wire(say string) []byte {
	return []byte(strings.ReplaceAll(say, "\n", "\r\n") + "\r\n")
}

// reply updates the state according to a reply of the server.
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

// listing collects the data of a listing and rewrites it in a Product's format.
type listing struct {
	p            *Product
	verb         string
	root         bool // whether "/" is listed
	hidden, dots bool // whether to show names that begin with a dot, and "." and ".."
	raw          []byte

	mu    sync.Mutex
	lines []string
}

// listing returns a listing for cmd, or nil if the command lists nothing or the Product does not
// rewrite listings. It changes cmd so that the server lists everything the Product shows.
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

// count returns the number of lines so far. The number is final only after awaitSent.
func (l *listing) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

func (l *listing) add(b []byte) { l.raw = append(l.raw, b...) }

// render returns the rewritten listing. b is the last part of its data.
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
			if root := e; e.Type == ftp.CDirEntry && l.dots && l.root { // the real server lists no parent of "/"
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
