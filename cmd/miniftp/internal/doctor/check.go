package doctor

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"miniftp/ftp"
)

// checks holds the results of the checks over the best way that go beyond data connections.
type checks struct {
	mlsdRefused bool           // although FEAT lists it
	file        string         // the file that was read; "" if none was
	noFile      string         // why no check with a file was possible
	unread      error          // why the file of the URL can't be read
	received    int64          // the number of bytes of the file that arrived
	sizes       []reportedSize // the sizes that the server reports for the file
	restart     verdictWord
	restReply   ftp.Reply
	modified    time.Time // of a file, as reported by MDTM; zero if unknown
	listed      time.Time // of the same file, as reported by LIST
	second      error     // from opening a second connection beside the first
	oneOnly     bool      // the server refused the second connection
	write       *written  // nil if not tried
	readRefused error     // the refusal of a listing, if the account may not read; else nil
	left        []string  // test files of byWriting that could not be deleted
	notDeleted  error     // why
}

// reportedSize is a file size and the command that reports it.
type reportedSize struct {
	by   string
	size int64
}

type verdictWord string

const (
	honest   verdictWord = "honest"
	ignored  verdictWord = "ignored" // REST was answered 350, but the whole file arrived
	wrong    verdictWord = "wrong"   // REST was answered 350, but other bytes arrived
	refused  verdictWord = "refused"
	notTried verdictWord = "not tried"
)

const (
	wholeFile = 1 << 20 // largest file that is read, in bytes
	listMost  = 1 << 20 // largest part of a listing that is read, in bytes
	filesMost = 3       // how many files are tried until one can be read
)

// visit runs trials over one way. If the connection breaks, the next trial gets a new one.
type visit struct {
	d   *doctor
	ctx context.Context
	r   *gridRow
	way int
	w   *wire

	whole []byte // content of the file that was read
}

func (v *visit) run(t trial) outcome {
	if err := v.ready(); err != nil {
		return outcome{err: err}
	}
	t.way, t.within = v.way, v.d.s.opts.Timeout
	return v.w.run(t)
}

func (v *visit) do(verb, arg string) (ftp.Reply, error) {
	if err := v.ready(); err != nil {
		return ftp.Reply{}, err
	}
	return v.w.do(verb, arg)
}

// ready opens a connection, unless there is one that works.
func (v *visit) ready() error {
	if v.w != nil && !v.w.broken {
		return nil
	}
	v.leave()
	o := v.d.open(v.ctx, v.r)
	v.w = o.w
	return o.err
}

func (v *visit) leave() {
	if v.w != nil {
		v.w.leave()
		v.w = nil
	}
}

// check compares what the server reports about its files with what arrives, over the way that works
// best.
func (d *doctor) check(ctx context.Context, r *gridRow, way int) {
	v := &visit{d: d, ctx: ctx, r: r, way: way}
	defer v.leave()
	k := &d.x.checks
	k.restart = notTried
	var mlsd, list []ftp.Entry
	if d.x.hasMLSD() && !k.mlsdRefused {
		mlsd = v.list("MLSD")
	}
	list = v.list("LIST")
	k.noFile = "no small file to read"
	for _, name := range d.candidates(mlsd, list) {
		if v.readable(name) {
			k.noFile = ""
			v.sizes(name, mlsd, list)
			v.restart(name)
			v.times(name, list)
			break
		}
	}
	if k.readRefused != nil {
		k.noFile = "the account may not read"
	}
	if d.write && !d.x.triedByWriting() {
		v.upload()
	}
	v.second()
}

// list returns the files in a listing. Lines that can't be parsed are skipped.
func (v *visit) list(verb string) (all []ftp.Entry) {
	o := v.run(trial{cmd: ftp.Command{Verb: verb}, most: listMost, noType: verb == "MLSD"})
	if o.err != nil {
		return nil
	}
	see := func(e ftp.Entry, err error) {
		if err == nil && e.Type == ftp.FileEntry && e.Name != "" && !strings.ContainsAny(e.Name, "/\x00") {
			all = append(all, e)
		}
	}
	lines := func(yield func(string) bool) {
		for line := range strings.Lines(string(o.text)) {
			if !yield(strings.TrimRight(line, "\r\n")) {
				return
			}
		}
	}
	if verb == "LIST" {
		for e, err := range new(ftp.ListParser).Entries(lines) {
			see(e, err)
		}
		return all
	}
	for line := range lines {
		see(ftp.ParseMLSx(line))
	}
	return all
}

// candidates returns the files to read: the one of the URL, or the smallest files that are long enough to
// show at which offset a transfer began.
func (d *doctor) candidates(mlsd, list []ftp.Entry) []string {
	if d.x.isFile {
		return []string{path.Base(d.x.path)}
	}
	if len(mlsd) == 0 {
		mlsd = list
	}
	var fit []ftp.Entry
	for _, e := range mlsd {
		if e.Size >= 2 && e.Size <= wholeFile && e.Name[0] != '-' && !strings.HasPrefix(e.Name, ".") {
			fit = append(fit, e)
		}
	}
	slices.SortStableFunc(fit, func(a, b ftp.Entry) int { return rank(a.Size) - rank(b.Size) })
	var names []string
	for _, e := range fit[:min(len(fit), filesMost)] {
		names = append(names, e.Name)
	}
	return names
}

// rank orders files by size, but those of less than 16 bytes last: they show little about offsets.
func rank(size int64) int {
	if size < 16 {
		return wholeFile + int(16-size)
	}
	return int(size)
}

// readable reads a file and reports whether it can be used for the checks. A file that is larger than wholeFile or
// shorter than two bytes can't.
func (v *visit) readable(name string) bool {
	o := v.run(trial{cmd: ftp.Command{Verb: "RETR", Arg: name}, most: wholeFile})
	k := &v.d.x.checks
	if o.err != nil && v.d.x.isFile {
		k.unread = o.err
	}
	if o.err != nil || o.enough || len(o.text) < 2 {
		return false
	}
	v.whole = o.text
	k.file, k.received = name, int64(len(o.text))
	return true
}

// sizes collects the sizes that the server reports for the file. If SIZE shows that the file is changing,
// it records none.
func (v *visit) sizes(name string, mlsd, list []ftp.Entry) {
	k := &v.d.x.checks
	n, known := v.size(name)
	if known && n != k.received {
		if again, _ := v.size(name); again != n {
			return
		}
	}
	if known {
		k.sizes = append(k.sizes, reportedSize{"SIZE", n})
	}
	for by, all := range map[string][]ftp.Entry{"MLSD": mlsd, "LIST": list} {
		for _, e := range all {
			if e.Name == name && e.Size >= 0 {
				k.sizes = append(k.sizes, reportedSize{by, e.Size})
			}
		}
	}
	slices.SortFunc(k.sizes, func(a, b reportedSize) int { return -strings.Compare(a.by, b.by) })
}

func (v *visit) size(name string) (int64, bool) {
	r, err := v.do("SIZE", name)
	n, bad := ftp.ParseOffset(strings.TrimSpace(r.Last()))
	return n, err == nil && bad == nil
}

// restart reads the second half of the file by REST and compares it with the first read.
func (v *visit) restart(name string) {
	k := &v.d.x.checks
	half := int64(len(v.whole) / 2)
	o := v.run(trial{cmd: ftp.Command{Verb: "RETR", Arg: name}, offset: half, most: wholeFile})
	var no *ftp.Error
	switch {
	case errors.As(o.err, &no) && no.Verb == "REST":
		k.restart, k.restReply = refused, no.Reply
	case o.err != nil:
	case bytes.Equal(o.text, v.whole[half:]):
		k.restart = honest
	case bytes.Equal(o.text, v.whole):
		k.restart = ignored
	default:
		k.restart = wrong
	}
}

// times asks for the modification time of a file whose time in LIST is exact to the minute, so that zone can compare
// the two: of the file name if possible, else of the first such file.
func (v *visit) times(name string, list []ftp.Entry) {
	for _, e := range list {
		exact := !e.Modified.IsZero() && e.Precise <= time.Minute
		if !exact || e.Name != name && slices.ContainsFunc(list, func(o ftp.Entry) bool { return o.Name == name && o.Precise <= time.Minute }) {
			continue
		}
		r, err := v.do("MDTM", e.Name)
		if t, _, bad := ftp.ParseTime(strings.TrimSpace(r.Last())); err == nil && bad == nil {
			v.d.x.checks.listed, v.d.x.checks.modified = e.Modified, t
		}
		return
	}
}

// zone returns the difference between the times of LIST and UTC. It returns false if that is unknown.
func (k *checks) zone() (time.Duration, bool) {
	if k.modified.IsZero() {
		return 0, false
	}
	off := k.listed.Sub(k.modified.Truncate(time.Minute)).Round(15 * time.Minute)
	return off, off >= -14*time.Hour && off <= 15*time.Hour
}

// second tries to open a second connection while the first one is open.
func (v *visit) second() {
	if v.ready() != nil {
		return
	}
	if _, err := v.do("NOOP", ""); err != nil {
		return
	}
	o := v.d.s.open(v.ctx, v.r.spec)
	if o.w != nil {
		o.w.leave()
		return
	}
	if no, ok := errors.AsType[*ftp.Error](o.err); ok && (no.Code == 421 || no.Code == 530) {
		v.d.x.checks.second, v.d.x.checks.oneOnly = o.err, true
	}
}
