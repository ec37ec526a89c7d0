package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

func getCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "get", Usage: "fetch files", ArgsUsage: "URL... [LOCAL|-]",
		Flags: clientFlags(append(choiceFlags(), resumeFlag(),
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "fetch directories and all that is in them"})...),
		Description: examples("Like cp: one URL goes to a name, a directory or - (standard output); several go to a directory. A file gets its name only when it is whole; until then it is .NAME.part. On a terminal -r ends with one line for all files; with -v there is one for each.",
			"miniftp get ftp://127.0.0.1:2121/README.md",
			"miniftp get -c ftp://127.0.0.1:2121/README.md copy.md",
			"miniftp get -r ftp://127.0.0.1:2121/docs docs-copy"),
		Action: e.runGet,
	}
}

// fetcher is one run of get.
type fetcher struct {
	e         *env
	fs        afero.Fs
	meter     *meter
	resume    bool
	ascii     bool
	recursive bool
	choice
	left     *omissions
	local    string // as given; "" is the current directory
	intoDir  bool   // local is a directory
	results  *results
	crew     *crew
	taken    targets
	segments int // for one file; 0: whole
}

func (e *env) runGet(c *cli.Context) error {
	args := c.Args().Slice()
	f := &fetcher{
		e: e, fs: afero.NewOsFs(), resume: c.Bool("resume"), ascii: c.Bool("ascii"), recursive: c.Bool("recursive"), taken: targets{},
	}
	var err error
	if f.choice, err = choiceOf(c); err != nil {
		return err
	}
	if n := len(args); n > 0 && !isURL(args[n-1]) {
		f.local, args = args[n-1], args[:n-1]
	}
	if len(args) == 0 && c.NArg() == 0 {
		return wantArgs(c, 1, -1)
	}
	if len(args) == 0 {
		args = []string{f.local}
	}
	for _, a := range args {
		if !isURL(a) {
			return usagef("%q is not a URL such as ftp://host/path; only the last argument may be a local name", maskPassword(a))
		}
	}
	if f.local == "-" && (c.Bool("json") || f.resume || f.recursive || f.some()) {
		return usagef("--json, -c, -r, --no-clobber and --newer do not go with - (standard output)")
	}
	f.results, f.left = e.newResults(c), e.newOmissions(c)
	f.left.told = func(url, why string) { f.results.omit(transferResult{URL: url}, why) }
	if err := f.findTarget(args); err != nil {
		return err
	}
	f.meter = e.newMeter(c)
	if f.recursive || len(args) > 1 || namesSeveral(args[0]) {
		f.meter.total(f.recursive || namesSeveral(args[0]))
	} else {
		f.segments = parallel(c)
	}
	if f.local == "-" && isTerminal(e.out) {
		f.meter.hide() // they would stand in the middle of the text
	}
	f.crew = e.newCrew(parallel(c))
	if f.local == "-" {
		f.crew = e.newCrew(1) // in the order of the arguments
		e.resume = ""         // -c does not go with -
	}
	err = e.eachNamed(c, args, globs, f.crew, f.fetch)
	f.meter.wait()
	err = firstError(err, f.left.tell())
	f.meter.sumUp("fetched")
	return f.results.end(err, f.meter)
}

// findTarget decides, as cp does, whether the local name is a directory.
func (f *fetcher) findTarget(urls []string) error {
	if f.local == "-" {
		return nil
	}
	info, err := f.fs.Stat(cmp.Or(f.local, "."))
	isDir := err == nil && info.IsDir()
	many := len(urls) > 1 || namesSeveral(urls[0])
	slash := f.local == "" || os.IsPathSeparator(f.local[len(f.local)-1])
	switch {
	case isDir || !slash && !many:
	case err == nil:
		return localProblem(f.local, syscall.ENOTDIR)
	case !errors.Is(err, fs.ErrNotExist):
		return localProblem(f.local, err)
	case !f.recursive:
		return localProblem(f.local, errors.New("no such directory"))
	}
	f.intoDir = isDir || many
	return nil
}

// fetch gets one path: a file, or with -r a directory.
func (f *fetcher) fetch(k *link, r *remote, file found) error {
	if file.path == "" && !f.recursive {
		return usagef("%s names no file; -r fetches a whole tree", r)
	}
	var err error
	if f.intoDir {
		err = f.taken.claim(f.target(base(file.path)), r.join(file.path))
	}
	if err == nil {
		err = f.fetchPath(k, r, file)
	}
	return f.results.addFailure(transferResult{URL: r.join(file.path)}, err)
}

func (f *fetcher) fetchPath(k *link, r *remote, file found) error {
	if file.entry.Type == ftp.UnknownEntry && f.recursive {
		err := k.do(func(cl *client.Client, _ int) (err error) {
			file.entry, err = cl.Stat(k.ctx, file.path)
			return err
		})
		if err != nil {
			return at(r.join(file.path), err)
		}
	}
	switch {
	case file.entry.IsDir() && f.recursive:
		return f.tree(k, r, file)
	case file.entry.IsDir():
		return at(r.join(file.path), errors.New("is a directory: -r fetches it with all that is in it"))
	case file.entry.Type == ftp.LinkEntry && f.recursive && r.pattern != "" && f.links != followLinks:
		f.left.add(r.join(file.path), leftLink)
		return nil
	case f.local == "-":
		return f.toStdout(k, r, file)
	}
	f.meter.expect(file.size())
	f.comes(k, file)
	return f.crew.do(func() error {
		err := f.named(k, r, file)
		return f.results.addFailure(transferResult{URL: r.join(file.path)}, err)
	})
}

// named fetches one file that a URL named, or tells that it is a directory.
func (f *fetcher) named(k *link, r *remote, file found) error {
	err := f.file(k, r, file, f.target(base(file.path)))
	var no *ftp.Error
	if errors.As(err, &no) && no.Verb == "RETR" && file.entry.Type == ftp.UnknownEntry && k.isDir(file.path) {
		return at(r.join(file.path), hinted{err: err, text: no.Error() + " (-r fetches it with all that is in it)"})
	}
	return err
}

// target is the local name for a remote one.
func (f *fetcher) target(name string) string {
	if f.intoDir {
		return filepath.Join(f.local, name)
	}
	return f.local
}

// file fetches one file to its place.
func (f *fetcher) file(k *link, r *remote, file found, local string) error {
	url := r.join(file.path)
	k = k.on(url)
	local, special, err := f.place(url, local)
	if err != nil {
		return f.results.add(transferResult{URL: url, Local: local}, err)
	}
	if why, err := f.keeps(k, file, local); why != "" || err != nil {
		return f.kept(transferResult{URL: url, Local: local, LeftOut: why}, file.size(), at(url, err))
	}
	m := f.meter.file(base(file.path))
	var res client.Result
	if special {
		res, err = f.into(k, file.path, local, r.ascii, m)
	} else {
		o := client.FileOptions{
			Resume: f.resume, ASCII: f.ascii || r.ascii, Size: file.size(), Progress: m.progress(), KeepTime: true,
			Modified: modified(file.entry),
		}
		if err = f.date(k, file, &o); err == nil {
			res, err = f.download(k, file, local, o)
		}
	}
	m.done(res, err)
	err = explainLocal(url, local, withoutResume(f.resume, err))
	return f.results.add(transferResult{URL: url, Local: local}.moved(res), err)
}

// date finds out the time of a file that LIST has to the minute. Not each one is asked for.
func (f *fetcher) date(k *link, file found, o *client.FileOptions) error {
	listed := file.entry
	if listed.Type != ftp.FileEntry || listed.Precise != time.Minute || listed.Modified.IsZero() {
		return nil
	}
	return k.do(func(cl *client.Client, _ int) error {
		e := listed
		err := cl.Date(k.ctx, file.path, &e)
		o.Modified, o.Precise = e.Modified, e.Precise
		return err
	})
}

// modified is the time of a file in a listing, zero if it has to be asked for.
func modified(e ftp.Entry) time.Time {
	if e.Type != ftp.FileEntry || e.Precise > time.Second {
		return time.Time{}
	}
	return e.Modified
}

// comes tells k of a file that is about to be fetched, if it could go in a chain.
func (f *fetcher) comes(k *link, file found) {
	if !f.resume && !f.ascii && !f.some() && file.entry.Type == ftp.FileEntry && !modified(file.entry).IsZero() {
		k.expect(file.entry.Size, f.crew)
	}
}

// download fetches a file to a name of its own: in a chain if it is one of many small
// ones, in segments if it is the only one.
func (f *fetcher) download(k *link, file found, local string, o client.FileOptions) (res client.Result, err error) {
	if file.entry.Type == ftp.FileEntry && file.entry.Size >= 0 {
		if res, err = k.chain().Download(k.ctx, file.path, f.fs, local, o); !errors.Is(err, client.ErrNotChained) {
			return res, err
		}
	}
	done, err := f.crew.turn()
	if err != nil {
		return client.Result{}, err
	}
	defer done()
	o.Tries = new(client.Tries)
	if f.segments > 1 {
		err = k.doPool(func(p *client.Pool, _ int) (err error) {
			res, err = p.Download(k.ctx, file.path, f.fs, local, o, f.segments)
			return err
		})
		return res, err
	}
	err = k.do(func(cl *client.Client, _ int) (err error) {
		res, err = cl.Download(k.ctx, file.path, f.fs, local, o)
		return err
	})
	return res, err
}

// place is where a file goes: behind a link, as cp has it. special: it is a
// device or pipe, which is written to and not replaced.
func (f *fetcher) place(url, local string) (place string, special bool, err error) {
	if name := filepath.Base(local); local == "" || !filepath.IsLocal(name) || name == "." {
		return "", false, at(url, &client.LocalError{Err: errors.New("its name can't be a local file's name: say where to put it")})
	}
	if to, err := filepath.EvalSymlinks(local); err == nil {
		local = to
	}
	info, err := f.fs.Stat(local)
	switch {
	case err != nil: // there is none yet, or Download will say what is wrong
		return local, false, nil
	case info.IsDir():
		return "", false, localProblem(local, syscall.EISDIR)
	}
	return local, !info.Mode().IsRegular(), nil
}

// into writes a file to a device or a pipe.
func (f *fetcher) into(k *link, path, local string, ascii bool, m *transfer) (client.Result, error) {
	w, err := f.fs.OpenFile(local, os.O_WRONLY, 0)
	if err != nil {
		return client.Result{}, &client.LocalError{Err: err}
	}
	res, err := k.copyOut(path, f.ascii || ascii, w, m.progress())
	if closed := w.Close(); err == nil && closed != nil {
		err = &client.LocalError{Err: closed}
	}
	return res, err
}

func (f *fetcher) toStdout(k *link, r *remote, file found) error {
	m := f.meter.file(base(file.path))
	res, err := k.copyOut(file.path, f.ascii || r.ascii, f.e.out, m.progress())
	m.done(res, err)
	return explainLocal(r.join(file.path), "standard output", err)
}
