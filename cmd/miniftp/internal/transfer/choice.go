package transfer

import (
	"errors"
	"io/fs"
	"time"

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

// kept tells of a file that was left as it is: of one that was named with a line of its own,
// of those of a tree as a number in the end.
func (f *fetcher) kept(t meter.Result, size int64, err error) error {
	if err != nil {
		return f.results.Add(t, err)
	}
	f.meter.Keep(size)
	if !f.meter.Several {
		f.e.Note("%s: left as it is: %s", ftp.Printable(t.Local), t.LeftOut)
	}
	return f.results.Add(t, nil)
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

// kept is fetcher.kept for put.
func (s *sender) kept(t meter.Result, size int64, err error) error {
	if err != nil {
		return s.results.Add(t, err)
	}
	s.meter.Keep(size)
	if !s.meter.Several {
		s.e.Note("%s: left as it is: %s", t.URL, t.LeftOut)
	}
	return s.results.Add(t, nil)
}
