package main

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

func (e *env) put() *cli.Command {
	return &cli.Command{
		Name: "put", Usage: "send files", ArgsUsage: "LOCAL...|- URL",
		Flags: clientFlags(resumeFlag(),
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "send directories with all that is in them"}),
		Description: examples("As cp: a URL that ends in / is a directory; several files need one. - is standard input. The server has to let you write, as  miniftp serve --anonymous rw  does.",
			"miniftp put README.md ftp://127.0.0.1:2121/copy.md",
			"miniftp put -r docs ftp://127.0.0.1:2121/docs-copy",
			"tar c docs | miniftp put - ftp://127.0.0.1:2121/docs.tar"),
		Action: e.runPut,
	}
}

// sender is one run of put.
type sender struct {
	e         *env
	fs        afero.Fs
	k         *link
	remote    *remote
	meter     *meter
	resume    bool
	ascii     bool
	recursive bool
	intoDir   bool // the URL names a directory
	results   *results
	crew      *crew
	taken     targets
}

func (e *env) runPut(c *cli.Context) error {
	if err := wantArgs(c, 2, -1); err != nil {
		return err
	}
	args := c.Args().Slice()
	locals, url := args[:len(args)-1], args[len(args)-1]
	for _, l := range locals {
		switch {
		case isURL(l):
			return usagef("%q is a URL: put sends local files, and only the last argument is a URL", maskPassword(l))
		case l == "-" && len(locals) > 1:
			return usagef("- (standard input) is sent alone, to a file name in the URL; a file of that name is ./-")
		}
	}
	if in, ok := e.in.(*os.File); ok && locals[0] == "-" && closedAtStart(in) {
		return localProblem("standard input", errors.New("it is closed: nothing was sent (</dev/null sends an empty file)"))
	}
	k, r, err := e.openArg(c, url)
	if err != nil {
		return err
	}
	defer k.close()
	s := &sender{
		e: e, fs: afero.NewOsFs(), k: k, remote: r, resume: c.Bool("resume"), ascii: c.Bool("ascii") || r.ascii,
		recursive: c.Bool("recursive"), results: e.newResults(c), crew: e.newCrew(c.Int("parallel")), taken: targets{},
	}
	s.intoDir = r.path == "" || strings.HasSuffix(r.path, "/") || len(locals) > 1
	s.meter = e.newMeter(c)
	if s.recursive || len(locals) > 1 {
		s.meter.total()
	}
	if locals[0] == "-" {
		err = s.stdin()
	} else {
		err = s.all(locals)
	}
	s.meter.wait()
	return firstError(err, s.results.flush())
}

// all sends the arguments, one after the other.
func (s *sender) all(locals []string) error {
	if s.recursive && !s.intoDir {
		s.intoDir = s.k.isDir(s.remote.path)
	}
	err := each(s.e, locals, func(local string) error {
		err := s.taken.claim(s.target(local), local)
		if err == nil || !s.intoDir {
			err = s.send(local)
		}
		s.results.addFailure(transferResult{URL: s.remote.join(s.target(local)), Local: local}, err)
		return err
	})
	return firstError(s.crew.wait(), err)
}

// stdin sends standard input. It can't be read twice, so nothing is tried again.
func (s *sender) stdin() error {
	if s.intoDir {
		return usagef("standard input needs a file name in the URL")
	}
	if s.resume {
		return usagef("-c does not go with - (standard input)")
	}
	s.k.retries = 0
	s.e.resume = ""
	m := s.meter.file("standard input")
	var res client.Result
	err := s.k.do(func(cl *client.Client, _ int) (err error) {
		t := client.Transfer{Path: s.remote.path, ASCII: s.ascii, Progress: m.progress()}
		res, err = cl.StoreWith(s.k.ctx, t, s.e.in)
		return err
	})
	m.done(res, err)
	err = explainLocal(s.remote.String(), "standard input", err)
	s.results.add(transferResult{URL: s.remote.String(), Local: "-", Bytes: res.Bytes, Seconds: res.Took.Seconds(), Verified: res.Verified}, err)
	return err
}

// send sends one argument.
func (s *sender) send(local string) error {
	info, err := s.fs.Stat(local)
	if err != nil {
		return localProblem(local, err)
	}
	switch {
	case info.IsDir() && s.recursive:
		return s.tree(local)
	case info.IsDir():
		return localProblem(local, errors.New("is a directory: -r sends it with all that is in it"))
	case !info.Mode().IsRegular():
		return localProblem(local, errors.New("is no regular file; - sends standard input"))
	}
	s.meter.expect(info.Size())
	s.comes(info.Size())
	return s.crew.do(func() error { return s.file(local, s.target(local), s.intoDir) })
}

// target is the remote path for a local file.
func (s *sender) target(local string) string {
	if s.intoDir {
		return joinRemote(s.remote.path, filepath.Base(local))
	}
	return s.remote.path
}

func joinRemote(dir, name string) string {
	if dir == "" || strings.HasSuffix(dir, "/") {
		return dir + name
	}
	return dir + "/" + name
}

// file sends one file. If the target turns out to be a directory, it goes in
// there, unless it was put together from one already.
func (s *sender) file(local, to string, sure bool) error {
	res, err := s.upload(local, to)
	var no *ftp.Error
	if errors.As(err, &no) && no.Verb == "STOR" && !sure && s.k.isDir(to) {
		to = joinRemote(to, filepath.Base(local))
		res, err = s.upload(local, to)
	}
	err = explainLocal(s.remote.join(to), local, withoutResume(s.resume, err))
	s.results.add(transferResult{URL: s.remote.join(to), Local: local, Bytes: res.Bytes, Seconds: res.Took.Seconds(), Verified: res.Verified}, err)
	return err
}

// comes tells the server's link of a file that is about to be sent, if it could go in a
// chain.
func (s *sender) comes(size int64) {
	if !s.resume && !s.ascii {
		s.k.expect(size, s.crew)
	}
}

// upload sends a file: in a chain if it is one of many small ones.
func (s *sender) upload(local, to string) (res client.Result, err error) {
	m := s.meter.file(filepath.Base(local))
	defer func() { m.done(res, err) }()
	o := client.FileOptions{ASCII: s.ascii, Resume: s.resume, Progress: m.progress()}
	if res, err = s.k.chain().Upload(s.k.ctx, s.fs, local, to, o); !errors.Is(err, client.ErrNotChained) {
		return res, err
	}
	done, err := s.crew.turn()
	if err != nil {
		return client.Result{}, err
	}
	defer done()
	o.Tries = new(client.Tries)
	err = s.k.on(s.remote.join(to)).do(func(cl *client.Client, _ int) (err error) {
		res, err = cl.Upload(s.k.ctx, s.fs, local, to, o)
		return err
	})
	return res, err
}

// tree sends a directory, as cp -r: into the target if that is there, else as
// the target. Links are left out, and said so, but for the argument itself.
func (s *sender) tree(local string) error {
	top := strings.TrimRight(s.remote.path, "/")
	if s.intoDir && filepath.Base(local) != "." {
		abs, err := filepath.Abs(local)
		if err != nil {
			return localProblem(local, err)
		}
		top = path.Join(s.remote.path, filepath.Base(abs))
	}
	root := local + string(os.PathSeparator) // behind a link
	type file struct {
		name string
		size int64
	}
	var files []file
	var unread error
	err := afero.Walk(s.fs, root, func(name string, info fs.FileInfo, err error) error {
		switch {
		case err != nil: // this one can't be read; others may
			s.e.sayError(localProblem(name, err))
			unread = firstError(unread, reported{localProblem(name, err)})
		case info.IsDir():
			return s.leaveOutOf(&unread, s.makeDir(s.below(top, root, name)))
		case info.Mode()&fs.ModeSymlink != 0:
			s.e.note("%s: left out: it is a link", ftp.Printable(name))
		case !info.Mode().IsRegular():
			s.e.note("%s: left out: it is no regular file", ftp.Printable(name))
		default:
			s.meter.expect(info.Size())
			files = append(files, file{name, info.Size()})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return firstError(unread, each(s.e, files, func(f file) error {
		s.comes(f.size)
		return s.crew.do(func() error { return s.file(f.name, s.below(top, root, f.name), true) })
	}))
}

// leaveOutOf leaves out a directory that can't be made, with all that is in it, and notes
// the error in first. An error that everything else would meet ends the walk.
func (s *sender) leaveOutOf(first *error, err error) error {
	if err == nil || fatal(err) || s.e.ctx.Err() != nil {
		return err
	}
	s.e.sayError(err)
	*first = firstError(*first, reported{err})
	return filepath.SkipDir
}

// below is the remote path of a file in a tree.
func (s *sender) below(top, root, name string) string {
	rel, err := filepath.Rel(root, name)
	if err != nil || rel == "." {
		return top
	}
	return path.Join(top, filepath.ToSlash(rel))
}

func (s *sender) makeDir(to string) error {
	if to == "" {
		return nil
	}
	k := s.k.on(s.remote.join(to))
	return at(k.at, k.do(func(cl *client.Client, _ int) error { return cl.MakeDirAll(s.k.ctx, to) }))
}
