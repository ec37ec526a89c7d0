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

func putCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "put", Usage: "send files", ArgsUsage: "LOCAL...|- URL",
		Flags: clientFlags(append(choiceFlags(), resumeFlag(),
			&cli.BoolFlag{Name: "mkdir", Usage: "make the directories of the URL that are missing"},
			&cli.BoolFlag{Name: "no-times", Usage: "do not give the files on the server the times of the local ones"},
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "send directories and all that is in them"})...),
		Description: examples("Like cp: a URL that ends in / is a directory; several files need one. - is standard input. Files keep their times, if the server can set them (MFMT). On a terminal -r ends with one line for all files; with -v there is one for each. The server has to let you write, as  miniftp serve --anonymous rw  does.",
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
	times     bool // files keep theirs
	choice
	left    *omissions
	intoDir bool // the URL names a directory
	results *results
	crew    *crew
	taken   targets
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
	choice, err := choiceOf(c)
	if err != nil {
		return err
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
		recursive: c.Bool("recursive"), times: !c.Bool("no-times"), choice: choice, left: e.newOmissions(c), results: e.newResults(c), crew: e.newCrew(parallel(c)), taken: targets{},
	}
	s.left.told = func(local, why string) { s.results.omit(transferResult{Local: local}, why) }
	s.intoDir = r.path == "" || strings.HasSuffix(r.path, "/") || len(locals) > 1
	s.meter = e.newMeter(c)
	if s.recursive || len(locals) > 1 {
		s.meter.total(s.recursive)
	}
	if c.Bool("mkdir") {
		err = s.makeDir(s.parent())
	}
	switch {
	case err != nil:
	case locals[0] == "-":
		err = s.stdin()
	default:
		err = s.all(locals)
	}
	s.meter.wait()
	err = firstError(err, s.left.tell())
	s.meter.sumUp("sent")
	return s.results.end(err, s.meter)
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
		return s.results.addFailure(transferResult{URL: s.remote.join(s.target(local)), Local: local}, err)
	})
	return firstError(s.crew.wait(), err)
}

// stdin sends standard input. It can't be read twice, so nothing is tried again.
func (s *sender) stdin() error {
	if s.intoDir {
		return usagef("standard input needs a file name in the URL")
	}
	if s.resume || s.newer {
		return usagef("-c and --newer do not go with - (standard input)")
	}
	t := transferResult{URL: s.remote.String(), Local: "-"}
	if why, err := s.keeps(nil, s.remote.path); why != "" || err != nil {
		t.LeftOut = why
		return s.kept(t, 0, at(t.URL, err))
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
	return s.results.add(t.moved(res), err)
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
	return s.crew.do(func() error { return s.file(localFile{local, info}, s.target(local), s.intoDir) })
}

// target is the remote path for a local file.
func (s *sender) target(local string) string {
	if s.intoDir {
		return joinRemote(s.remote.path, filepath.Base(local))
	}
	return s.remote.path
}

// file sends one file. If the target turns out to be a directory, it goes in
// there, unless it was put together from one already.
func (s *sender) file(local localFile, to string, sure bool) error {
	t := transferResult{URL: s.remote.join(to), Local: local.name}
	why, err := s.keeps(local.info, to)
	if why != "" || err != nil {
		t.LeftOut = why
		return s.kept(t, local.info.Size(), at(t.URL, err))
	}
	res, err := s.upload(local.name, to)
	var no *ftp.Error
	if errors.As(err, &no) && no.Verb == "STOR" {
		if !sure && s.k.isDir(to) {
			return s.file(local, joinRemote(to, filepath.Base(local.name)), true)
		}
		if dir := path.Dir(to); dir != "." && dir != "/" && !s.k.isDir(dir) {
			err = hinted{err: err, text: no.Error() + " (there is no directory " + ftp.Printable(dir) + "; --mkdir makes it)"}
		}
	}
	return s.results.add(t.moved(res), explainLocal(t.URL, local.name, withoutResume(s.resume, err)))
}

// localFile is a file to send.
type localFile struct {
	name string
	info fs.FileInfo
}

// parent is the directory that the files are sent to; "" is that of the login.
func (s *sender) parent() string {
	if s.intoDir {
		return strings.TrimRight(s.remote.path, "/")
	}
	if dir := path.Dir(s.remote.path); dir != "." && dir != "/" {
		return dir
	}
	return ""
}

// comes tells the server's link of a file that is about to be sent, if it could go in a
// chain.
func (s *sender) comes(size int64) {
	if !s.resume && !s.ascii && !s.some() {
		s.k.expect(size, s.crew)
	}
}

// upload sends a file: in a chain if it is one of many small ones.
func (s *sender) upload(local, to string) (res client.Result, err error) {
	m := s.meter.file(filepath.Base(local))
	defer func() { m.done(res, err) }()
	o := client.FileOptions{ASCII: s.ascii, Resume: s.resume, Progress: m.progress(), KeepTime: s.times}
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
