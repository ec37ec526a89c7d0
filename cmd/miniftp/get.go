package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

func (e *env) get() *cli.Command {
	return &cli.Command{
		Name: "get", Usage: "fetch files", ArgsUsage: "URL... [LOCAL|-]",
		Flags: clientFlags(resumeFlag(),
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "fetch directories with all that is in them"}),
		Description: examples("As cp: one URL to a name, a directory or - (standard output); several to a directory.\nA file appears under its name only when it is whole; until then it is .NAME.part.",
			"miniftp get ftp://127.0.0.1:2121/README.md",
			"miniftp get -c ftp://127.0.0.1:2121/big.iso /tmp/",
			"miniftp get -r ftp://127.0.0.1:2121/docs ./docs-copy",
			"miniftp get 'ftp://127.0.0.1:2121/*.md' -"),
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
	local     string // as given; "" is the current directory
	intoDir   bool   // local is a directory
	results   *results
}

func (e *env) runGet(c *cli.Context) error {
	args := c.Args().Slice()
	f := &fetcher{
		e: e, fs: afero.NewOsFs(), resume: c.Bool("resume"), ascii: c.Bool("ascii"), recursive: c.Bool("recursive"),
	}
	if n := len(args); n > 0 && !isURL(args[n-1]) {
		f.local, args = args[n-1], args[:n-1]
	}
	if len(args) == 0 {
		return usagef("miniftp get takes %s", c.Command.ArgsUsage)
	}
	for _, a := range args {
		if !isURL(a) {
			return usagef("%q is not a URL such as ftp://host/path; only the last argument may be a local name", a)
		}
	}
	f.results = e.newResults(c)
	if f.local == "-" && (c.Bool("json") || f.resume || f.recursive) {
		return usagef("--json, -c and -r do not go with - (standard output)")
	}
	if err := f.findTarget(args); err != nil {
		return err
	}
	f.meter = e.newMeter(c)
	defer f.meter.wait()
	err := e.eachURL(c, args, f.fetch)
	return firstError(err, f.results.flush())
}

// findTarget decides, as cp does, whether the local name is a directory.
func (f *fetcher) findTarget(urls []string) error {
	if f.local == "-" {
		return nil
	}
	many := len(urls) > 1 || strings.ContainsAny(urls[0], "*?[")
	info, err := f.fs.Stat(max(f.local, "."))
	isDir := err == nil && info.IsDir()
	endsSlash := f.local == "" || strings.HasSuffix(f.local, "/") || os.IsPathSeparator(f.local[len(f.local)-1])
	if !isDir && (endsSlash || many) && !f.recursive {
		return at(f.local, &client.LocalError{Err: errors.New("is not a directory")})
	}
	f.intoDir = isDir || many || endsSlash
	return nil
}

// fetch gets one path: a file, or with -r a directory.
func (f *fetcher) fetch(k *link, r *remote, file found) error {
	if file.path == "" && !f.recursive {
		return usagef("%s names no file; -r fetches a whole tree", r)
	}
	f.ascii = f.ascii || r.ascii
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
	case f.local == "-":
		return f.toStdout(k, r, file)
	}
	return f.file(k, r, file, f.target(base(file.path)))
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
	if name := filepath.Base(local); !filepath.IsLocal(name) || name == "." {
		return at(r.join(file.path), &client.LocalError{Err: errors.New("its name can't be a local file's name: say where to put it")})
	}
	m := f.meter.file(base(file.path))
	var res client.Result
	err := k.do(func(cl *client.Client, try int) (err error) {
		res, err = cl.Download(k.ctx, file.path, f.fs, local, client.FileOptions{
			Resume: f.resume || try > 0, ASCII: f.ascii, Size: max(file.entry.Size, 0), Progress: m.progress(), KeepTime: true,
		})
		return err
	})
	m.done(res, err)
	f.results.add(transferResult{URL: r.join(file.path), Local: local, Bytes: res.Bytes, Seconds: res.Took.Seconds(), Verified: res.Verified}, err)
	return f.explainLocal(r.join(file.path), local, err)
}

// explainLocal puts the right name before an error: the local file's if it is
// about that.
func (f *fetcher) explainLocal(url, local string, err error) error {
	var lost *client.LocalError
	if errors.As(err, &lost) {
		var p *fs.PathError
		if errors.As(err, &p) {
			return at(local, &client.LocalError{Err: p.Err})
		}
		return at(local, err)
	}
	return at(url, err)
}

func (f *fetcher) toStdout(k *link, r *remote, file found) error {
	return at(r.join(file.path), k.copyOut(file.path, f.ascii, f.e.out))
}

// tree fetches a directory: as cp -r, into the target if that is there, else as
// the target. Links are left out, and said so.
func (f *fetcher) tree(k *link, r *remote, dir found) error {
	root := max(f.local, ".")
	if f.intoDir && base(dir.path) != "." && base(dir.path) != "/" && dir.path != "" {
		root = filepath.Join(root, base(dir.path))
	}
	if err := f.fs.MkdirAll(root, 0o777); err != nil {
		return f.explainLocal("", root, &client.LocalError{Err: err})
	}
	var all []client.WalkEntry
	err := k.do(func(cl *client.Client, _ int) error {
		all = all[:0]
		var bad error
		for entry, err := range cl.Walk(k.ctx, dir.path) {
			if err != nil {
				bad = firstError(bad, at(r.join(entry.Path), err))
				continue
			}
			all = append(all, entry)
		}
		return bad
	})
	if err != nil && len(all) == 0 {
		return at(r.join(dir.path), err)
	}
	if err != nil {
		f.e.sayError(err)
		err = reported{err}
	}
	return firstError(err, each(f.e, all, func(entry client.WalkEntry) error { return f.entry(k, r, dir.path, root, entry) }))
}

// entry fetches one entry of a tree.
func (f *fetcher) entry(k *link, r *remote, top, root string, entry client.WalkEntry) error {
	below := strings.TrimPrefix(strings.TrimPrefix(entry.Path, strings.TrimRight(top, "/")), "/")
	if !filepath.IsLocal(filepath.FromSlash(below)) {
		return at(r.join(entry.Path), &client.LocalError{Err: errors.New("its name can't be a local file's name")})
	}
	local := filepath.Join(root, filepath.FromSlash(below))
	switch {
	case entry.IsDir():
		if err := f.fs.MkdirAll(local, 0o777); err != nil {
			return f.explainLocal("", local, &client.LocalError{Err: err})
		}
		return nil
	case entry.Type == ftp.LinkEntry, entry.Type == ftp.OtherEntry:
		f.e.note("%s: left out: it is a link or no regular file", r.join(entry.Path))
		return nil
	}
	return f.file(k, r, found{entry.Path, entry.Entry}, local)
}
