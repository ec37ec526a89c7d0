// Package transfer implements the verbs get and put, which transfer files and trees.
//
// It is built on connect and meter. Transferring a file is up to package client.
package transfer

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/meter"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Get returns the verb get.
func Get(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "get", Usage: "fetch files", ArgsUsage: "URL... [LOCAL|-]",
		Flags: connect.Flags(append(choiceFlags(), connect.ResumeFlag(),
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "fetch directories with all their contents"})...),
		Description: flags.Examples("Like cp: one URL is fetched to a name, a directory or - (standard output), several to a directory. A file is named .NAME.part until it is complete. On a terminal, -r prints one line for all files at the end; with -v it prints one for each file."+connect.Storages(),
			"miniftp get ftp://127.0.0.1:2121/README.md",
			"miniftp get -c ftp://127.0.0.1:2121/README.md copy.md",
			"miniftp get -r ftp://127.0.0.1:2121/docs docs-copy"),
		Action: func(c *cli.Context) error { return runGet(e, c) },
	}
}

// fetcher holds the state of one run of get.
type fetcher struct {
	batch
	local    string // as given; "" for the current directory
	segments int    // how many connections fetch one file
}

func runGet(e *verb.Env, c *cli.Context) error {
	args := c.Args().Slice()
	b, err := newBatch(e, c)
	if err != nil {
		return err
	}
	f := &fetcher{batch: b}
	if n := len(args); n > 0 && !verb.IsURL(args[n-1]) {
		f.local, args = args[n-1], args[:n-1]
	}
	if len(args) == 0 {
		args = []string{f.local}
	}
	for _, a := range args {
		if !verb.IsURL(a) {
			return verb.Usagef("%q is not a URL such as ftp://host/path; only the last argument may be a local name", ftp.MaskURL(a))
		}
	}
	if f.local == "-" && (c.Bool("json") || f.resume || f.recursive || f.skipsExisting()) {
		return verb.Usagef("--json, -c, -r, --no-clobber and --newer can't be combined with - (standard output)")
	}
	f.report(c, func(url string) meter.Result { return meter.Result{URL: url} })
	if err := f.findTarget(args); err != nil {
		return err
	}
	f.meter = meter.New(e, c)
	if f.recursive || len(args) > 1 || target.NamesSeveral(args[0]) {
		f.meter.Total(f.recursive || target.NamesSeveral(args[0]))
	} else {
		f.segments = connect.Parallel(c)
	}
	if f.local == "-" && term.IsTerminal(e.Out) {
		f.meter.Hide() // progress bars would mix with the text
	}
	f.workers = connect.NewWorkers(e, connect.Parallel(c))
	if f.local == "-" {
		f.workers = connect.NewWorkers(e, 1) // in the order of the arguments
		e.Resume = ""                        // -c can't be combined with -
	}
	err = connect.EachFound(e, c, args, connect.Glob, f.workers, f.fetch)
	return f.results.End(err, f.left, f.meter, "fetched")
}

// findTarget decides, like cp, whether the target is a directory.
func (f *fetcher) findTarget(urls []string) error {
	if f.local == "-" {
		return nil
	}
	info, err := f.fs.Stat(cmp.Or(f.local, "."))
	isDir := err == nil && info.IsDir()
	many := len(urls) > 1 || target.NamesSeveral(urls[0])
	slash := f.local == "" || os.IsPathSeparator(f.local[len(f.local)-1])
	switch {
	case isDir || !slash && !many:
	case err == nil:
		return verb.LocalProblem(f.local, syscall.ENOTDIR)
	case !errors.Is(err, fs.ErrNotExist):
		return verb.LocalProblem(f.local, err)
	case !f.recursive:
		return verb.LocalProblem(f.local, errors.New("no such directory"))
	}
	f.intoDir = isDir || many
	return nil
}

// fetch fetches one path: a file or, with -r, a directory.
func (f *fetcher) fetch(k *connect.Link, r *target.Remote, file connect.Found) error {
	if file.Path == "" && !f.recursive {
		return verb.Usagef("%s does not name a file; -r fetches a whole tree", r)
	}
	var err error
	if f.intoDir {
		err = f.taken.Claim(f.target(target.Base(file.Path)), r.Join(file.Path))
	}
	if err == nil {
		err = f.fetchPath(k, r, file)
	}
	return f.results.AddFailure(meter.Result{URL: r.Join(file.Path)}, err)
}

func (f *fetcher) fetchPath(k *connect.Link, r *target.Remote, file connect.Found) error {
	if file.Entry.Type == ftp.UnknownEntry && f.recursive {
		var err error
		if file.Entry, err = k.Stat(file.Path); err != nil {
			return verb.At(r.Join(file.Path), err)
		}
	}
	switch {
	case file.Entry.IsDir() && f.recursive:
		return f.tree(k, r, file)
	case file.Entry.IsDir():
		return verb.At(r.Join(file.Path), errors.New("is a directory: use -r to fetch it"))
	case file.Entry.Type == ftp.LinkEntry && f.recursive && r.Pattern != "" && f.links != followLinks:
		f.left.Add(r.Join(file.Path), verb.LeftLink)
		return nil
	case f.local == "-":
		return f.toStdout(k, r, file)
	}
	f.meter.Expect(file.Size())
	f.announce(k, file)
	return f.workers.Do(func() error {
		err := f.named(k, r, file)
		return f.results.AddFailure(meter.Result{URL: r.Join(file.Path)}, err)
	})
}

// named fetches one file named by a URL. If it is a directory, the error says so: that of the server, or
// the local one if a directory of that name exists here, too.
func (f *fetcher) named(k *connect.Link, r *target.Remote, file connect.Found) error {
	err := f.file(k, r, file, f.target(target.Base(file.Path)))
	if errors.Is(err, syscall.EISDIR) && file.Entry.Type == ftp.UnknownEntry && k.IsDir(file.Path) {
		return verb.Hinted{Err: err, Text: err.Error() + " (and so it is at the server: use -r to fetch it)"}
	}
	if no, ok := errors.AsType[*ftp.Error](err); ok && no.Verb == "RETR" && file.Entry.Type == ftp.UnknownEntry && k.IsDir(file.Path) {
		return verb.At(r.Join(file.Path), verb.Hinted{Err: err, Text: no.Error() + " (it is a directory: use -r to fetch it)"})
	}
	return err
}

// target returns the local name for a remote one.
func (f *fetcher) target(name string) string {
	if f.intoDir {
		return local.Join(f.local, name)
	}
	return f.local
}

// file fetches one file to the local name.
func (f *fetcher) file(k *connect.Link, r *target.Remote, file connect.Found, local string) error {
	url := r.Join(file.Path)
	k = k.On(url)
	local, special, err := f.destination(url, local)
	if err != nil {
		return f.results.Add(meter.Result{URL: url, Local: local}, err)
	}
	if why, err := f.keepReason(k, file, local); why != "" || err != nil {
		return f.reportKept(meter.Result{URL: url, Local: local, LeftOut: why}, local, file.Size(), verb.At(url, err))
	}
	m := f.meter.File(target.Base(file.Path))
	var res client.Result
	if special {
		res, err = f.into(k, file.Path, local, r.ASCII, m)
	} else {
		o := client.FileOptions{
			FS: f.fs, Resume: f.resume, ASCII: f.ascii || r.ASCII, KeepTime: true, Progress: m.Progress(),
			Several: k.Many(), Connections: f.segments, Retry: k.Retry(),
		}
		if o.Listed, err = f.withTime(k, file); err == nil {
			res, err = k.Move(func(p *client.Pool) (client.Result, error) {
				return p.Download(f.workers.Ctx, file.Path, local, o)
			})
		}
	}
	m.Done(res, err)
	err = verb.AtSide(url, local, verb.WithoutResume(f.resume, err))
	return f.results.Add(meter.Result{URL: url, Local: local}.Moved(res), err)
}

// withTime returns the listed entry of a file. Its time is zero if the listing is too coarse: the client
// then asks the server. A time that LIST gave to the minute is completed by cl.Date, which does not ask
// the server for every file.
func (f *fetcher) withTime(k *connect.Link, file connect.Found) (ftp.Entry, error) {
	e := file.Entry
	if e.Type != ftp.FileEntry || e.Precise != time.Minute || e.Modified.IsZero() {
		e.Modified = modified(e)
		return e, nil
	}
	err := k.Do(func(cl *client.Client) error {
		e = file.Entry
		return cl.Date(k.Ctx, file.Path, &e)
	})
	return e, err
}

// modified returns the time of a file in a listing, or zero if the listing is too coarse.
func modified(e ftp.Entry) time.Time {
	if e.Type != ftp.FileEntry || e.Precise > time.Second {
		return time.Time{}
	}
	return e.Modified
}

// announce makes k expect a file that is about to be fetched, if the file may share a connection with
// other small files.
func (f *fetcher) announce(k *connect.Link, file connect.Found) {
	if !f.resume && !f.ascii && !f.skipsExisting() && file.Entry.Type == ftp.FileEntry && !modified(file.Entry).IsZero() {
		k.Expect(file.Entry.Size, f.workers)
	}
}

// destination returns the local file to write: like cp, it follows links. special reports whether that is
// a device or a pipe, which is written to rather than replaced.
func (f *fetcher) destination(url, local string) (file string, special bool, err error) {
	if name := filepath.Base(local); local == "" || !filepath.IsLocal(name) || name == "." {
		return "", false, verb.At(url, &client.LocalError{Err: errors.New("its name is not allowed for a local file: give another name")})
	}
	if to, err := filepath.EvalSymlinks(local); err == nil {
		local = to
	}
	info, err := f.fs.Stat(local)
	switch {
	case err != nil: // it does not exist yet, or Download reports the error
		return local, false, nil
	case info.IsDir():
		return "", false, verb.LocalProblem(local, syscall.EISDIR)
	}
	return local, !info.Mode().IsRegular(), nil
}

// into writes a remote file to a device or a pipe.
func (f *fetcher) into(k *connect.Link, path, local string, ascii bool, m *meter.Transfer) (client.Result, error) {
	w, err := f.fs.OpenFile(local, os.O_WRONLY, 0)
	if err != nil {
		return client.Result{}, &client.LocalError{Err: err}
	}
	res, err := k.CopyOut(path, f.ascii || ascii, w, m.Progress())
	if closed := w.Close(); err == nil && closed != nil {
		err = &client.LocalError{Err: closed}
	}
	return res, err
}

func (f *fetcher) toStdout(k *connect.Link, r *target.Remote, file connect.Found) error {
	m := f.meter.File(target.Base(file.Path))
	res, err := k.CopyOut(file.Path, f.ascii || r.ASCII, f.e.Out, m.Progress())
	m.Done(res, err)
	return verb.AtSide(r.Join(file.Path), "standard output", err)
}
