// Package doctor is the verb doctor: it tries all ways to connect and to transfer, judges what it
// finds, and says what to do. signs.go has what can be wrong, plan.go what is tried.
//
// It has a control connection of its own, which tells more than a client's. It stands on connect,
// product and term.
package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/product"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/dtp"
)

// replyTimeout is the --timeout of doctor: it waits for many things that never come.
const replyTimeout = 5 * time.Second

// Command returns the verb doctor.
func Command(e *verb.Env) *cli.Command {
	all := connect.Flags(&cli.BoolFlag{Name: "write", Usage: "try an upload, too: a small file under a random name in the directory of the URL, which is removed again"})
	for _, f := range all {
		if d, ok := f.(*flags.DurationFlag); ok && d.Name == "timeout" {
			d.Value = replyTimeout
		}
	}
	return &cli.Command{
		Name: "doctor", Usage: "find out what is wrong with a server, and who must fix it", ArgsUsage: "URL",
		Flags: all,
		Description: flags.Examples("Tries passive and active mode, IPv4 and IPv6, in the clear and under TLS, and whether the server tells the truth about sizes, offsets and times. "+
			"The URL names a server, a directory or a file. Nothing is written unless --write says so. Whether --active is given or not, both modes are tried. "+
			"An ftp:// URL is tried under TLS, too; nothing is sent in the clear to ftpes:// and ftps://. The exit code is 0 if at least one way works.",
			"miniftp doctor ftp://127.0.0.1:2121/",
			"miniftp doctor --json ftp://127.0.0.1:2121/docs/"),
		Action: func(c *cli.Context) error { return run(e, c) },
	}
}

func run(e *verb.Env, c *cli.Context) error {
	r, err := target.Parse(c.Args().First())
	if err != nil {
		return err
	}
	if c.Bool("write") && r.Path != "" && !strings.HasSuffix(r.Path, "/") {
		return verb.Usagef("--write goes with the URL of a directory, which ends in /")
	}
	d, err := newDoctor(e, c, r)
	if err != nil {
		return err
	}
	err = d.examine(c.Context)
	if c.Context.Err() != nil {
		return context.Cause(c.Context)
	}
	if err != nil {
		return verb.At(r.String(), err)
	}
	s := d.x.report(r, c)
	s.err = connect.TLSHint(connect.LoginHint(s.err, d.s.opts), d.s.opts)
	if c.Bool("json") {
		err = verb.PrintJSON(e.Out, s.json())
	} else {
		err = s.print(e.Out)
	}
	return verb.FirstError(err, verb.At(r.String(), s.err))
}

// newDoctor reads the flags.
func newDoctor(e *verb.Env, c *cli.Context, r *ftp.URL) (*doctor, error) {
	secure := *r
	if r.Scheme == "ftp" { // which is tried under TLS, too
		secure.Scheme = "ftpes"
	}
	opts, err := connect.ByHand(e, c, &secure)
	if err != nil {
		return nil, err
	}
	x := &exam{url: r.String(), scheme: r.Scheme, path: r.Path, secret: !connect.IsAnonymous(opts.User), trusting: c.Bool("insecure")}
	if r.Scheme == "ftp" && c.Bool("tls") {
		x.scheme = "ftpes"
	}
	if x.host, x.port, err = net.SplitHostPort(r.Addr); err != nil {
		return nil, err
	}
	s := &setup{opts: opts, host: x.host, observer: opts.Observer}
	if !opts.ActivePorts.IsZero() {
		if s.ports, err = dtp.NewPorts(opts.ActivePorts); err != nil {
			return nil, err
		}
		s.ports.Close() // keep none open meanwhile
	}
	return &doctor{s: s, x: x, lookup: connect.Addresses, write: c.Bool("write"), most: c.Int("parallel"), slow: map[string]bool{}}, nil
}

// report is an examination, judged.
type report struct {
	x        *exam
	findings []*finding
	command  string // the best way as a command; "" if none works
	err      error  // why no way works
}

func (x *exam) report(r *ftp.URL, c *cli.Context) *report {
	s := &report{x: x, findings: x.judge()}
	row, way := x.use()
	if row == nil && x.checks.noReading != nil && !x.triedByWriting() {
		s.err = verb.Hinted{Err: x.checks.noReading, Text: "the account may not read, so no way could be tried (" + replyText(x.checks.noReading) + "): --write tries uploads"}
		return s
	}
	if row == nil {
		s.err = fmt.Errorf("no way works: %w", x.why())
		return s
	}
	s.command = x.bestCommand(r, c, row, way)
	if o := x.checks.write; o != nil && o.err != nil {
		s.err = fmt.Errorf("the upload: %w", o.err)
	}
	return s
}

// why is the error of the row that came furthest. One that was let in only by TLS
// would tell nothing.
func (x *exam) why() error {
	var best *gridRow
	for _, r := range x.rows {
		aside := r.aside(x)
		if best == nil || aside == "" && (r.stage > best.stage || best.aside(x) != "") {
			best = r
		}
	}
	if best == nil {
		return errors.New("there was nothing to try")
	}
	if best.err != nil {
		return best.err
	}
	for way := range best.cells {
		if c := &best.cells[way]; c.state == fails {
			return c.err
		}
	}
	for way := range best.cells {
		if c := &best.cells[way]; c.err != nil {
			return c.err
		}
	}
	return errors.New("the server knows no way to make a data connection")
}

// bestCommand is what to type, as it works when it is typed.
func (x *exam) bestCommand(r *ftp.URL, c *cli.Context, row *gridRow, way int) string {
	words := []string{"miniftp", "get"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "--"+flag, verb.ShellWord(value))
		}
	}
	to := *r
	if row.corner.mode == client.ExplicitTLS {
		to.Scheme = "ftpes"
	}
	if row.corner.mode != client.NoTLS {
		pin := c.String("pin")
		if row.bad != nil && !x.trusting && row.cert != nil {
			pin = local.Fingerprint(row.cert)
		} else {
			add("ca-cert", c.String("ca-cert"))
		}
		add("pin", pin)
		add("cert", c.String("cert"))
		add("key", c.String("key"))
		if x.trusting {
			words = append(words, "--insecure")
		}
	}
	if isActive(way) {
		words = append(words, "--active")
		add("active-ip", c.String("active-ip"))
		add("active-ports", c.String("active-ports"))
	}
	if flags.Asked(c, "user") {
		add("user", c.String("user"))
	}
	add("password-file", c.String("password-file"))
	if c.Bool("netrc") {
		words = append(words, "--netrc")
	}
	add("proxy", ftp.MaskURL(c.String("proxy")))
	x.onlyFamily(&to, row)
	switch dir := parentOf(x.path); {
	case row.cells[way].written:
		words[1] = "put"
		words = append(words, "FILE", verb.ShellWord(to.String()))
	case x.isFile && x.checks.unread != nil:
		words[1] = "ls"
		words = append(words, verb.ShellWord(to.Join(dir)))
	case x.isFile:
		words = append(words, verb.ShellWord(to.String()))
	case x.checks.file != "":
		if dir = x.path; dir != "" && !strings.HasSuffix(dir, "/") {
			dir += "/"
		}
		words = append(words, verb.ShellWord(to.Join(dir+x.checks.file)))
	default:
		words[1] = "ls"
		words = append(words, verb.ShellWord(to.String()))
	}
	return strings.Join(words, " ")
}

// onlyFamily puts the address in place of the name where the name has another one,
// too, by which nothing works. A certificate is for the name, so under TLS that stays.
func (x *exam) onlyFamily(to *ftp.URL, best *gridRow) {
	others, work := false, false
	for _, r := range x.rows {
		if r.family != best.family && r.stage > atConnect {
			others = true
			work = work || r.best() >= 0
		}
	}
	if others && !work && best.corner.mode == client.NoTLS {
		to.Addr = best.corner.addr
	}
}

// parentOf is the directory of a path, as it is written in URLs: "" is the login's.
func parentOf(p string) string {
	dir, _ := path.Split(p)
	return dir
}

// hopedFor are features that doctor misses aloud: each is something that users notice.
var hopedFor = []struct{ name, is string }{
	{"MLST", "MLSD"}, {"UTF8", "UTF8"}, {"EPSV", "EPSV"}, {"REST", "REST"}, {"SIZE", "SIZE"}, {"MDTM", "MDTM"}, {"MFMT", "MFMT"}, {"HASH", "HASH"}, {"AUTH", "AUTH TLS"},
}

// missing are those that FEAT does not name.
func (x *exam) missing() (names []string) {
	for _, w := range hopedFor {
		has := x.features.Has(w.name) || w.name == "MLST" && x.features.Has("MLSD") || w.name == "AUTH" && x.scheme == "ftps"
		if !has {
			names = append(names, w.is)
		}
	}
	return names
}

// tlsWords says what became of sessions.
func (x *exam) tlsWords() string {
	var tried, resumed []string
	for _, r := range x.rows {
		if r.corner.mode == client.NoTLS || r.best() < 0 {
			continue
		}
		if x.needsReuse(r) {
			return "required (we do it)"
		}
		tried = append(tried, r.protection())
		if r.resumes {
			resumed = append(resumed, r.protection())
		}
	}
	switch {
	case len(tried) == 0:
		return ""
	case len(resumed) == 0:
		return "not offered"
	case len(resumed) < len(tried):
		return "works with " + resumed[0] + " only, not required"
	}
	return "works, not required"
}

// versions are those of TLS that came about.
func (x *exam) versions() (all []string) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if slices.ContainsFunc(x.rows, func(r *gridRow) bool { return r.corner.version == v && r.stage == inside }) {
			all = append(all, tls.VersionName(v))
		}
	}
	return all
}

// greetingText is the greeting in one line.
func (x *exam) greetingText() string {
	if x.greeting.Code == 0 {
		return ""
	}
	text := ""
	for _, line := range x.greeting.Lines {
		if line = strings.Trim(line, " -*#="); line != "" && text == "" || product.Recognise(line) != nil && product.Recognise(text) == nil {
			text = line
		}
	}
	return ftp.Printable(strings.TrimSpace(fmt.Sprintf("%d %s", int(x.greeting.Code), text)))
}
