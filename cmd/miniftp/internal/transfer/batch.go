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

// choice says which files get and put transfer.
type choice struct {
	noClobber bool
	newer     bool
	links     string // of a tree
}

// batch is what one run of get or put works with.
type batch struct {
	e         *verb.Env
	fs        afero.Fs
	resume    bool
	ascii     bool
	recursive bool
	choice
	intoDir bool // the target is a directory
	taken   connect.Targets
	crew    *connect.Crew
	meter   *meter.Meter
	results *meter.Results
	left    *verb.Omissions
}

// newBatch reads the flags of get and put.
func newBatch(e *verb.Env, c *cli.Context) (batch, error) {
	b := batch{
		e: e, fs: afero.NewOsFs(), resume: c.Bool("resume"), ascii: c.Bool("ascii"), recursive: c.Bool("recursive"),
		taken: connect.Targets{},
	}
	var err error
	b.choice, err = choiceOf(c)
	return b, err
}

// report begins to tell what becomes of files: for --json, each failure is a line from now on.
func (b *batch) report(c *cli.Context, leftOut func(name string) meter.Result) {
	b.results, b.left = meter.NewResults(b.e, c), b.e.NewOmissions(c)
	b.left.Emit = func(name, why string) { b.results.Omit(leftOut(name), why) }
}

// The words of --links.
const (
	skipLinks   = "skip"
	followLinks = "follow"
	copyLinks   = "copy"
)

func choiceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "no-clobber", Usage: "leave files alone that the destination has already"},
		&cli.BoolFlag{Name: "newer", Usage: "transfer only files that the destination lacks, or has in an older version"},
		&cli.StringFlag{Name: "links", Value: skipLinks, Usage: "with -r, treat symbolic links as `skip|follow|copy` says: leave them out, transfer what they lead to, or make links, if they stay inside the tree"},
		verb.StrictFlag(),
	}
}

func choiceOf(c *cli.Context) (choice, error) {
	o := choice{noClobber: c.Bool("no-clobber"), newer: c.Bool("newer"), links: c.String("links")}
	switch {
	case o.links != skipLinks && o.links != followLinks && o.links != copyLinks:
		return o, verb.Usagef("--links %q: %s", o.links, flags.OneOf("links", o.links))
	case flags.Asked(c, "links") && !c.Bool("recursive"):
		return o, verb.Usagef("--links goes with -r: a link that is named is always followed")
	case o.noClobber && c.Bool("resume"):
		return o, verb.Usagef("-c continues a file that --no-clobber leaves alone: give one of them")
	}
	return o, nil
}

// some reports whether files that the destination has may be left as they are.
func (o choice) some() bool { return o.noClobber || o.newer }

// The reasons why a file is left as it is.
const (
	keptExists = "it exists"
	keptNewer  = "it is not older"
)

var errNoTime = errors.New("the server does not tell when it was changed, so --newer can't compare it")

// keeps returns why the local file is left as it is; "" if it is to be fetched.
func (f *fetcher) keeps(k *connect.Link, file connect.Found, local string) (why string, err error) {
	if !f.some() {
		return "", nil
	}
	info, err := f.fs.Stat(local)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", nil // Download says what is wrong
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

// olderThan reports whether a is before b. Servers tell times to the second, or less.
func olderThan(a, b time.Time) bool { return a.Truncate(time.Second).Before(b.Truncate(time.Second)) }

// kept tells of a file that was left as it is, and where: of one that was named with a line of
// its own, of those of a tree as a number in the end.
func (b *batch) kept(t meter.Result, where string, size int64, err error) error {
	if err != nil {
		return b.results.Add(t, err)
	}
	b.meter.Keep(size)
	if !b.meter.Several {
		b.e.Note("%s: left as it is: %s", ftp.Printable(where), t.LeftOut)
	}
	return b.results.Add(t, nil)
}

// keeps returns why the file on the server is left as it is; "" if the local one is to be
// sent.
func (s *sender) keeps(local fs.FileInfo, to string) (why string, err error) {
	if !s.some() {
		return "", nil
	}
	there, err := s.k.On(s.remote.Join(to)).Stat(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case there.IsDir():
		return "", nil // it is sent into it, or the server says what is wrong
	case s.noClobber:
		return keptExists, nil
	case there.Modified.IsZero() || there.Precise >= time.Minute:
		return "", errNoTime
	}
	if local == nil || olderThan(there.Modified, local.ModTime()) {
		return "", nil
	}
	return keptNewer, nil
}
