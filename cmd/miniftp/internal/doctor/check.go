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

// checks are what was tried over the best way, beside data connections.
type checks struct {
	mlsdRefused bool // though FEAT names it
	file        string
	noFile      string // why nothing could be tried with a file
	unread      error  // why the file of the URL can't be read
	came        int64  // its bytes
	sizes       []told // what the server says of its size
	restart     verdictWord
	restReply   ftp.Reply
	modified    time.Time // as MDTM says; the zero time if it doesn't
	listed      time.Time // as LIST says
	second      error     // of a second connection at once
	alone       bool      // a second connection was turned away
	write       *written  // nil: not tried
	noReading   error     // why the account may not list; nil: it may
	left        []string  // files that the trials of the ways left behind
	notDeleted  error     // why
}

// told is a size and who says so.
type told struct {
	by   string
	size int64
}

type verdictWord string

const (
	honest   verdictWord = "honest"
	ignored  verdictWord = "ignored" // 350 to REST, and then the whole file
	wrong    verdictWord = "wrong"   // 350 to REST, and then other bytes
	refused  verdictWord = "refused"
	notTried verdictWord = "not tried"
)

const (
	wholeFile = 1 << 20 // bytes of a file that is read whole
	listMost  = 1 << 20 // bytes of a listing that is read
	filesMost = 3       // files that are tried, if the first can't be read
)

// visit runs errands over one way, with a new connection when one broke.
type visit struct {
	d   *doctor
	ctx context.Context
	r   *gridRow
	way int
	w   *wire

	whole []byte // the file
}

func (v *visit) run(e errand) outcome {
	if err := v.ready(); err != nil {
		return outcome{err: err}
	}
	e.way, e.within = v.way, v.d.s.opts.Timeout
	return v.w.run(e)
}

func (v *visit) do(verb, arg string) (ftp.Reply, error) {
	if err := v.ready(); err != nil {
		return ftp.Reply{}, err
	}
	return v.w.do(verb, arg)
}

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

// check looks at what the server says of its files, over the way that works best.
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
	if k.noReading != nil {
		k.noFile = "the account may not read"
	}
	if d.write && !d.x.triedByWriting() {
		v.upload()
	}
	v.second()
}

// list reads a listing. What can't be read of it is left out.
func (v *visit) list(verb string) (all []ftp.Entry) {
	o := v.run(errand{cmd: ftp.Command{Verb: verb}, most: listMost, plain: verb == "MLSD"})
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

// candidates are the files to read: that of the URL, or the smallest that are no
// smaller than what shows where a transfer began.
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

// rank puts files of a few bytes behind those that tell more.
func rank(size int64) int {
	if size < 16 {
		return wholeFile + int(16-size)
	}
	return int(size)
}

// readable reads the file whole. One that is too large is no use.
func (v *visit) readable(name string) bool {
	o := v.run(errand{cmd: ftp.Command{Verb: "RETR", Arg: name}, most: wholeFile})
	k := &v.d.x.checks
	if o.err != nil && v.d.x.isFile {
		k.unread = o.err
	}
	if o.err != nil || o.enough || len(o.text) < 2 {
		return false
	}
	v.whole = o.text
	k.file, k.came = name, int64(len(o.text))
	return true
}

// sizes gathers what the server says of the file's size. A file that grows meanwhile
// tells nothing.
func (v *visit) sizes(name string, mlsd, list []ftp.Entry) {
	k := &v.d.x.checks
	n, known := v.size(name)
	if known && n != k.came {
		if again, _ := v.size(name); again != n {
			return
		}
	}
	if known {
		k.sizes = append(k.sizes, told{"SIZE", n})
	}
	for by, all := range map[string][]ftp.Entry{"MLSD": mlsd, "LIST": list} {
		for _, e := range all {
			if e.Name == name && e.Size >= 0 {
				k.sizes = append(k.sizes, told{by, e.Size})
			}
		}
	}
	slices.SortFunc(k.sizes, func(a, b told) int { return -strings.Compare(a.by, b.by) })
}

func (v *visit) size(name string) (int64, bool) {
	r, err := v.do("SIZE", name)
	n, bad := ftp.ParseOffset(strings.TrimSpace(r.Last()))
	return n, err == nil && bad == nil
}

// restart reads the second half of the file and compares it.
func (v *visit) restart(name string) {
	k := &v.d.x.checks
	half := int64(len(v.whole) / 2)
	o := v.run(errand{cmd: ftp.Command{Verb: "RETR", Arg: name}, offset: half, most: wholeFile})
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

// times asks for the time of a file that LIST shows to the minute.
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

// zone is by how much the times of LIST differ from UTC; false if nothing tells.
func (k *checks) zone() (time.Duration, bool) {
	if k.modified.IsZero() {
		return 0, false
	}
	off := k.listed.Sub(k.modified.Truncate(time.Minute)).Round(15 * time.Minute)
	return off, off >= -14*time.Hour && off <= 15*time.Hour
}

// second asks for a second connection while the first one stands.
func (v *visit) second() {
	if v.ready() != nil {
		return
	}
	if _, err := v.do("NOOP", ""); err != nil {
		return
	}
	o := v.d.s.open(v.ctx, v.r.corner)
	if o.w != nil {
		o.w.leave()
		return
	}
	if no, ok := errors.AsType[*ftp.Error](o.err); ok && (no.Code == 421 || no.Code == 530) {
		v.d.x.checks.second, v.d.x.checks.alone = o.err, true
	}
}
