package transfer

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/meter"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// Put returns the verb put.
func Put(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "put", Usage: "send files", ArgsUsage: "LOCAL...|- URL",
		Flags: connect.Flags(append(choiceFlags(), connect.ResumeFlag(),
			&cli.BoolFlag{Name: "mkdir", Usage: "make missing directories of the URL"},
			&cli.BoolFlag{Name: "no-times", Usage: "do not copy the times of the local files to the server"},
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "send directories with all their contents"})...),
		Description: flags.Examples("Like cp: a URL that ends in / is a directory, and several files can be sent only to a directory. - is standard input. Files keep their times if the server can set them (MFMT). On a terminal, -r prints one line for all files at the end; with -v it prints one for each file. The server must allow writing, as  miniftp serve --anonymous rw  does."+connect.Storages(),
			"miniftp put README.md ftp://127.0.0.1:2121/copy.md",
			"miniftp put -r docs ftp://127.0.0.1:2121/docs-copy",
			"tar c docs | miniftp put - ftp://127.0.0.1:2121/docs.tar"),
		Action: func(c *cli.Context) error { return runPut(e, c) },
	}
}

// sender holds the state of one run of put.
type sender struct {
	batch
	k      *connect.Link
	remote *target.Remote
	times  bool // files keep their times
}

func runPut(e *verb.Env, c *cli.Context) error {
	args := c.Args().Slice()
	locals, url := args[:len(args)-1], args[len(args)-1]
	for _, l := range locals {
		switch {
		case verb.IsURL(l):
			return verb.Usagef("%q is a URL: put sends local files, and only the last argument is a URL", ftp.MaskURL(l))
		case l == "-" && len(locals) > 1:
			return verb.Usagef("- (standard input) can't be combined with files; for a file named - write ./-")
		}
	}
	b, err := newBatch(e, c)
	if err != nil {
		return err
	}
	if in, ok := e.In.(*os.File); ok && locals[0] == "-" && local.ClosedAtStart(in) {
		return verb.LocalProblem("standard input", errors.New("closed, so nothing was sent (</dev/null sends an empty file)"))
	}
	k, r, err := connect.OpenURL(e, c, url)
	if err != nil {
		return err
	}
	defer k.Close()
	s := &sender{batch: b, k: k, remote: r, times: !c.Bool("no-times")}
	s.ascii = s.ascii || r.ASCII
	s.workers = connect.NewWorkers(e, connect.Parallel(c))
	s.report(c, func(local string) meter.Result { return meter.Result{Local: local} })
	s.intoDir = r.Path == "" || strings.HasSuffix(r.Path, "/") || len(locals) > 1
	s.meter = meter.New(e, c)
	if s.recursive || len(locals) > 1 {
		s.meter.Total(s.recursive)
	}
	if c.Bool("mkdir") {
		err = s.makeDir(s.parent())
	}
	switch {
	case err != nil:
	case locals[0] == "-":
		err = s.stdin()
	default:
		err = s.sendAll(locals)
	}
	return s.results.End(err, s.left, s.meter, "sent")
}

// sendAll sends the arguments in order.
func (s *sender) sendAll(locals []string) error {
	if s.recursive && !s.intoDir {
		s.intoDir = s.k.IsDir(s.remote.Path)
	}
	err := verb.Each(s.e, locals, func(local string) error {
		err := s.taken.Claim(s.target(local), local)
		if err == nil || !s.intoDir {
			err = s.send(local)
		}
		return s.results.AddFailure(meter.Result{URL: s.remote.Join(s.target(local)), Local: local}, err)
	})
	return verb.FirstError(s.workers.Wait(), err)
}

// stdin sends standard input. It does not retry, because standard input can't be read twice.
func (s *sender) stdin() error {
	if s.intoDir {
		return verb.Usagef("to send standard input, the URL must name a file")
	}
	if s.resume || s.newer {
		return verb.Usagef("-c and --newer can't be combined with - (standard input)")
	}
	t := meter.Result{URL: s.remote.String(), Local: "-"}
	if why, err := s.keepReason(time.Time{}, s.remote.Path); why != "" || err != nil {
		t.LeftOut = why
		return s.reportKept(t, t.URL, 0, verb.At(t.URL, err))
	}
	s.k.Retries = 0
	s.e.Resume = ""
	m := s.meter.File("standard input")
	var res client.Result
	err := s.k.Do(func(cl *client.Client) (err error) {
		t := client.Transfer{Path: s.remote.Path, ASCII: s.ascii, Progress: m.Progress()}
		res, err = cl.StoreWith(s.k.Ctx, t, s.e.In)
		return err
	})
	m.Done(res, err)
	err = verb.AtSide(s.remote.String(), "standard input", err)
	return s.results.Add(t.Moved(res), err)
}

// send sends one argument.
func (s *sender) send(local string) error {
	info, err := s.fs.Stat(local)
	if err != nil {
		return verb.LocalProblem(local, err)
	}
	switch {
	case info.IsDir() && s.recursive:
		return s.tree(local)
	case info.IsDir():
		return verb.LocalProblem(local, errors.New("is a directory: use -r to send it"))
	case !info.Mode().IsRegular():
		return verb.LocalProblem(local, errors.New("is not a regular file; - sends standard input"))
	}
	s.meter.Expect(info.Size())
	s.announce(info.Size())
	return s.workers.Do(func() error { return s.file(localFile{local, info.Size(), info.ModTime()}, s.target(local), s.intoDir) })
}

// target returns the remote path for a local file.
func (s *sender) target(local string) string {
	if s.intoDir {
		return target.Join(s.remote.Path, filepath.Base(local))
	}
	return s.remote.Path
}

// file sends one file to the path to. If that is a directory, it sends the file into it, unless exact is
// true: then the path already ends in the name of the file.
func (s *sender) file(local localFile, to string, exact bool) error {
	t := meter.Result{URL: s.remote.Join(to), Local: local.name}
	why, err := s.keepReason(local.modified, to)
	if why != "" || err != nil {
		t.LeftOut = why
		return s.reportKept(t, t.URL, local.size, verb.At(t.URL, err))
	}
	res, err := s.upload(local.name, to)
	if no, ok := errors.AsType[*ftp.Error](err); ok && no.Verb == "STOR" {
		if !exact && s.k.IsDir(to) {
			return s.file(local, target.Join(to, filepath.Base(local.name)), true)
		}
		if dir := path.Dir(to); dir != "." && dir != "/" && !s.k.IsDir(dir) {
			err = verb.Hinted{Err: err, Text: no.Error() + " (there is no directory " + ftp.Printable(dir) + "; --mkdir makes it)"}
		}
	}
	return s.results.Add(t.Moved(res), verb.AtSide(t.URL, local.name, verb.WithoutResume(s.resume, err)))
}

// localFile is a file to send.
type localFile struct {
	name     string
	size     int64
	modified time.Time
}

// parent returns the directory that the files are sent to; "" is the login directory.
func (s *sender) parent() string {
	if s.intoDir {
		return strings.TrimRight(s.remote.Path, "/")
	}
	if dir := path.Dir(s.remote.Path); dir != "." && dir != "/" {
		return dir
	}
	return ""
}

// announce makes the link expect a file that is about to be sent, if the file may share a connection
// with other small files.
func (s *sender) announce(size int64) {
	if !s.resume && !s.ascii && !s.skipsExisting() {
		s.k.Expect(size, s.workers)
	}
}

// upload sends a file to the remote path.
func (s *sender) upload(local, to string) (res client.Result, err error) {
	m := s.meter.File(filepath.Base(local))
	defer func() { m.Done(res, err) }()
	k := s.k.On(s.remote.Join(to))
	o := client.FileOptions{
		FS: s.fs, ASCII: s.ascii, Resume: s.resume, KeepTime: s.times, Progress: m.Progress(),
		Several: k.Many(), Retry: k.Retry(),
	}
	return k.Move(func(p *client.Pool) (client.Result, error) {
		return p.Upload(s.workers.Ctx, local, to, o)
	})
}
