package transfer

import (
	"errors"
	"io/fs"
	"time"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/meter"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// choice holds the flags that decide which files get and put transfer.
type choice struct {
	noClobber bool
	newer     bool
	links     string // how links in a tree are treated
}

// batch holds what get and put have in common in one run.
type batch struct {
	e         *verb.Env
	fs        afero.Fs
	resume    bool
	ascii     bool
	recursive bool
	choice
	intoDir bool            // the target is a directory
	taken   connect.Targets // the names in use, so that no two files of a run get the same one
	workers *connect.Workers
	meter   *meter.Meter
	results *meter.Results
	left    *verb.Omissions
}

// newBatch returns a batch with the values of the flags.
func newBatch(e *verb.Env, c *cli.Context) (batch, error) {
	b := batch{
		e: e, fs: afero.NewOsFs(), resume: c.Bool("resume"), ascii: c.Bool("ascii"), recursive: c.Bool("recursive"),
		taken: connect.Targets{},
	}
	var err error
	b.choice, err = choiceOf(c)
	return b, err
}

// report sets up the reporting of results. From then on, --json prints a line for each failure.
func (b *batch) report(c *cli.Context, leftOut func(name string) meter.Result) {
	b.results, b.left = meter.NewResults(b.e, c), b.e.NewOmissions(c)
	b.left.Emit = func(name, why string) { b.results.Omit(leftOut(name), why) }
}

// The values of --links.
const (
	skipLinks   = "skip"
	followLinks = "follow"
	copyLinks   = "copy"
)

func choiceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "no-clobber", Usage: "do not replace files that exist at the destination"},
		&cli.BoolFlag{Name: "newer", Usage: "transfer only files that are missing or older at the destination"},
		&cli.StringFlag{Name: "links", Value: skipLinks, Usage: "with -r, `skip|follow|copy` symbolic links: skip leaves them out, follow transfers their targets, copy makes links if these stay inside the tree"},
		verb.StrictFlag(),
	}
}

func choiceOf(c *cli.Context) (choice, error) {
	o := choice{noClobber: c.Bool("no-clobber"), newer: c.Bool("newer"), links: c.String("links")}
	switch {
	case o.links != skipLinks && o.links != followLinks && o.links != copyLinks:
		return o, verb.Usagef("--links %q: %s", o.links, flags.OneOf("links", o.links))
	case flags.Asked(c, "links") && !c.Bool("recursive"):
		return o, verb.Usagef("--links needs -r: a link given as an argument is always followed")
	case o.noClobber && c.Bool("resume"):
		return o, verb.Usagef("-c and --no-clobber can't be combined: -c continues a file, --no-clobber leaves it unchanged")
	}
	return o, nil
}

// skipsExisting reports whether existing files at the destination may be kept.
func (o choice) skipsExisting() bool { return o.noClobber || o.newer }

// The reasons for keeping a file at the destination.
const (
	keptExists = "it exists"
	keptNewer  = "it is not older"
)

var errNoTime = errors.New("the server does not report its modification time, which --newer needs")

// keepReason returns why the local file is kept, or "" if it is to be fetched.
func (f *fetcher) keepReason(k *connect.Link, file connect.Found, local string) (why string, err error) {
	if !f.skipsExisting() {
		return "", nil
	}
	info, err := f.fs.Stat(local)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", nil // Download reports the error
	case f.noClobber:
		return keptExists, nil
	}
	there := modified(file.Entry)
	if there.IsZero() {
		err := k.Do(func(cl *client.Client) (err error) {
			there, err = cl.ModTime(k.Ctx, file.Path)
			return err
		})
		switch {
		case errors.As(err, new(*ftp.Error)) && !errors.Is(err, fs.ErrNotExist):
			return "", errNoTime
		case err != nil:
			return "", err
		}
	}
	if !olderThan(info.ModTime(), there) {
		return keptNewer, nil
	}
	return "", nil
}

// olderThan reports whether a is before b. It compares whole seconds, because servers report no
// fractions.
func olderThan(a, b time.Time) bool { return a.Truncate(time.Second).Before(b.Truncate(time.Second)) }

// reportKept reports a file that was kept, and where. In a run over several files, it only counts it; the
// number is printed at the end.
func (b *batch) reportKept(t meter.Result, where string, size int64, err error) error {
	if err != nil {
		return b.results.Add(t, err)
	}
	b.meter.Keep(size)
	if !b.meter.Several {
		b.e.Note("%s: kept unchanged: %s", ftp.Printable(where), t.LeftOut)
	}
	return b.results.Add(t, nil)
}

// keepReason returns why the file on the server is kept, or "" if the local one is to be sent. modified is the
// time of the local file, or zero if it has none.
func (s *sender) keepReason(modified time.Time, to string) (why string, err error) {
	if !s.skipsExisting() {
		return "", nil
	}
	there, err := s.k.On(s.remote.Join(to)).Stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case there.IsDir():
		return "", nil // the file goes into it, or the server reports the error
	case s.noClobber:
		return keptExists, nil
	case there.Modified.IsZero() || there.Precise >= time.Minute:
		return "", errNoTime
	}
	if modified.IsZero() || olderThan(there.Modified, modified) {
		return "", nil
	}
	return keptNewer, nil
}
