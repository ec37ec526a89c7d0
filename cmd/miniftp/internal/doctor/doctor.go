// Package doctor implements the verb doctor. It tries all ways to connect to a server and to transfer
// data, finds what is wrong, and says who can fix it and how. It also examines storages that a server
// could serve: storage.go and storage_show.go.
//
// The other files, in the order of an examination: plan.go makes the rows of the grid, which say what to try.
// exam.go, check.go and write.go try it over control connections (wire.go) and data connections (data.go), and
// store the results in an exam. rules.go turns an exam into findings, with the functions in signs.go and
// signs_data.go. show.go and json.go print them.
//
// The package does not use client.Client, because that works around the faults that doctor must find.
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

// replyTimeout is the default --timeout of doctor. It is short, because broken servers make doctor wait
// for many replies that never arrive.
const replyTimeout = 5 * time.Second

// Command returns the verb doctor.
func Command(e *verb.Env) *cli.Command {
	all := connect.Flags(
		&cli.BoolFlag{Name: "write", Usage: "also try an upload: write a small file with a random name to the directory of the URL, and delete it"},
		&cli.BoolFlag{Name: "read-only", Usage: "only read from a storage, instead of trying to write to it"},
		&cli.BoolFlag{Name: selfFlag, Usage: "check that the server that runs on this host answers, for health checks; it takes no URL"},
		&cli.StringFlag{Name: socketFlag, Usage: "with --self: check the server whose socket is `PATH` (its --control)", DefaultText: "that of the only server"},
	)
	for _, f := range all {
		if d, ok := f.(*flags.DurationFlag); ok && d.Name == "timeout" {
			d.Value = replyTimeout
		}
	}
	return &cli.Command{
		Name: "doctor", Usage: "find out what is wrong with a server or a storage", ArgsUsage: "[URL|ROOT]",
		Flags: all,
		Description: flags.Examples("Tries passive and active mode over IPv4 and IPv6, without and with TLS, and checks the sizes, offsets and times that the server reports. "+
			"The URL names a server, a directory or a file. Nothing is written without --write. Both modes are tried, whether or not --active is given. "+
			"An ftp:// URL is tried with TLS, too; nothing is sent without encryption to ftpes:// and ftps:// URLs. The exit code is 0 if at least one way to transfer works. "+
			"ROOT is a storage that serve could serve: a directory, written with a slash (./dir), or a URL such as zip:FILE. It is tried whether a server can use it, in a "+
			"hidden directory that is removed at the end. The exit code is then 0 if all that is required works, and 6 if not.",
			"miniftp doctor ftp://127.0.0.1:2121/",
			"miniftp doctor ./",
			"miniftp doctor --self"),
		Action: func(c *cli.Context) error { return run(e, c) },
	}
}

// The flags for the server on this host.
const (
	selfFlag   = "self"
	socketFlag = "socket"
)

func run(e *verb.Env, c *cli.Context) error {
	switch {
	case c.Bool(selfFlag):
		return runSelf(e, c)
	case flags.Asked(c, socketFlag):
		return verb.Usagef("--socket is for --self")
	case !c.Args().Present():
		return verb.Usagef("miniftp doctor takes a URL, a storage or --self; miniftp doctor --help shows examples")
	}
	if arg := c.Args().First(); isStorage(arg) {
		return runStorage(e, c, arg)
	}
	if c.Bool("read-only") {
		return verb.Usagef("--read-only is for storages; nothing is written to a server without --write")
	}
	r, err := target.Parse(c.Args().First())
	if err != nil {
		return orDirectory(c.Args().First(), err)
	}
	if c.Bool("write") && r.Path != "" && !strings.HasSuffix(r.Path, "/") {
		return verb.Usagef("--write needs the URL of a directory, which ends in /")
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

// newDoctor returns a doctor for the URL r and the flags of c.
func newDoctor(e *verb.Env, c *cli.Context, r *ftp.URL) (*doctor, error) {
	secure := *r
	if r.Scheme == "ftp" { // tried with TLS, too
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
		s.ports.Close() // ports are opened when they are needed
	}
	return &doctor{s: s, x: x, lookup: connect.Addresses, write: c.Bool("write"), most: c.Int("parallel"), slow: map[string]bool{}}, nil
}

// report is an exam with the findings and the result.
type report struct {
	x        *exam
	findings []*finding
	command  string // a command that uses the best way; "" if none works
	err      error  // why no way works, or why the upload failed
}

func (x *exam) report(r *ftp.URL, c *cli.Context) *report {
	s := &report{x: x, findings: x.judge()}
	row, way := x.bestWay()
	if row == nil && x.checks.readRefused != nil && !x.triedByWriting() {
		s.err = verb.Hinted{Err: x.checks.readRefused, Text: "the account may not read, so no transfer could be tried (" + replyText(x.checks.readRefused) + "); --write tries uploads"}
		return s
	}
	if row == nil {
		s.err = fmt.Errorf("no transfer works: %w", x.why())
		return s
	}
	s.command = x.bestCommand(r, c, row, way)
	if o := x.checks.write; o != nil && o.err != nil {
		s.err = fmt.Errorf("the upload failed: %w", o.err)
	}
	return s
}

// why returns the error of the row whose connection got furthest. Rows that failed for an expected reason,
// such as a server that requires TLS, come last.
func (x *exam) why() error {
	var best *gridRow
	for _, r := range x.rows {
		aside := r.aside(x)
		if best == nil || aside == "" && (r.stage > best.stage || best.aside(x) != "") {
			best = r
		}
	}
	if best == nil {
		return errors.New("nothing could be tried")
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
	return errors.New("the server supports no way to open a data connection")
}

// bestCommand returns a command for the shell that transfers in the best way.
func (x *exam) bestCommand(r *ftp.URL, c *cli.Context, row *gridRow, way int) string {
	words := []string{"miniftp", "get"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "--"+flag, verb.ShellWord(value))
		}
	}
	to := *r
	if row.spec.mode == client.ExplicitTLS {
		to.Scheme = "ftpes"
	}
	if row.spec.mode != client.NoTLS {
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

// onlyFamily replaces the host name in to by an address if the name also has an address of the other
// family, over which nothing works. With TLS the name stays, because the certificate is for the name.
func (x *exam) onlyFamily(to *ftp.URL, best *gridRow) {
	others, work := false, false
	for _, r := range x.rows {
		if r.family != best.family && r.stage > atConnect {
			others = true
			work = work || r.best() >= 0
		}
	}
	if others && !work && best.spec.mode == client.NoTLS {
		to.Addr = best.spec.addr
	}
}

// parentOf returns the directory part of a path in a URL; "" means the login directory.
func parentOf(p string) string {
	dir, _ := path.Split(p)
	return dir
}

// wantedFeatures holds the features whose absence doctor reports, because users notice it: the name in FEAT, and
// the name in the report.
var wantedFeatures = []struct{ name, shown string }{
	{"MLST", "MLSD"}, {"UTF8", "UTF8"}, {"EPSV", "EPSV"}, {"REST", "REST"}, {"SIZE", "SIZE"}, {"MDTM", "MDTM"}, {"MFMT", "MFMT"}, {"HASH", "HASH"}, {"AUTH", "AUTH TLS"},
}

// missing returns the features of wantedFeatures that FEAT does not list.
func (x *exam) missing() (names []string) {
	for _, w := range wantedFeatures {
		has := x.features.Has(w.name) || w.name == "MLST" && x.features.Has("MLSD") || w.name == "AUTH" && x.scheme == "ftps"
		if !has {
			names = append(names, w.shown)
		}
	}
	return names
}

// tlsWords reports whether data connections can or must resume the TLS session, "" if unknown. The texts
// are also values in the JSON report.
func (x *exam) tlsWords() string {
	var tried, resumed []string
	for _, r := range x.rows {
		if r.spec.mode == client.NoTLS || r.best() < 0 {
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

// versions returns the versions of TLS with which a login succeeded.
func (x *exam) versions() (all []string) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if slices.ContainsFunc(x.rows, func(r *gridRow) bool { return r.spec.version == v && r.stage == atEnd }) {
			all = append(all, tls.VersionName(v))
		}
	}
	return all
}

// greetingText returns the code of the greeting and its most informative line: the one that names the
// product, else the first that is not empty.
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
