package main

import (
	"errors"
	"io"
	"io/fs"
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
		Description: examples("As cp: a URL that ends in / is a directory; several files need one. - is standard input.",
			"miniftp put report.pdf ftp://alice@127.0.0.1:2121/inbox/",
			"miniftp put -c big.iso ftp://alice@127.0.0.1:2121/big.iso",
			"tar c . | miniftp put - ftp://alice@127.0.0.1:2121/backup.tar"),
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
	intoDir   bool
	results   *results
}

func (e *env) runPut(c *cli.Context) error {
	if err := wantArgs(c, 2, -1); err != nil {
		return err
	}
	args := c.Args().Slice()
	last := len(args) - 1
	k, r, err := e.openArg(c, args[last])
	if err != nil {
		return err
	}
	defer k.close()
	locals := args[:last]
	s := &sender{
		e: e, fs: afero.NewOsFs(), k: k, remote: r, resume: c.Bool("resume"), ascii: c.Bool("ascii") || r.ascii,
		recursive: c.Bool("recursive"), results: e.newResults(c),
	}
	s.intoDir = r.path == "" || strings.HasSuffix(r.path, "/") || len(locals) > 1
	if len(locals) == 1 && locals[0] == "-" {
		return s.stdin()
	}
	s.meter = e.newMeter(c)
	defer s.meter.wait()
	if s.recursive && !s.intoDir {
		s.intoDir = s.isRemoteDir(r.path)
	}
	err = each(e, locals, s.send)
	return firstError(err, s.results.flush())
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
	var res client.Result
	err := s.k.do(func(cl *client.Client, _ int) (err error) {
		res, err = cl.StoreWith(s.k.ctx, client.Transfer{Path: s.remote.path, ASCII: s.ascii}, s.e.in)
		return err
	})
	s.results.add(transferResult{URL: s.remote.String(), Local: "-", Bytes: res.Bytes, Seconds: res.Took.Seconds(), Verified: res.Verified}, err)
	return firstError(at(s.remote.String(), err), s.results.flush())
}

// send sends one argument.
func (s *sender) send(local string) error {
	if isURL(local) {
		return usagef("%q is a URL: put sends local files; get fetches", local)
	}
	info, err := s.fs.Stat(local)
	if err != nil {
		return localProblem(local, err)
	}
	switch {
	case info.IsDir() && s.recursive:
		return s.tree(local)
	case info.IsDir():
		return at(local, &client.LocalError{Err: errors.New("is a directory: -r sends it with all that is in it")})
	case !info.Mode().IsRegular():
		return at(local, &client.LocalError{Err: errors.New("is not a regular file")})
	}
	return s.file(local, s.target(local))
}

// localProblem is a failure of a local file: one line, the file and what it is.
func localProblem(name string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return at(name, &client.LocalError{Err: err})
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

// file sends one file. If the target turns out to be a directory, it goes in there.
func (s *sender) file(local, to string) error {
	err := s.upload(local, to)
	var reply *ftp.Error
	if errors.As(err, &reply) && reply.Verb == "STOR" && !s.intoDir && s.isRemoteDir(to) {
		to = joinRemote(to, filepath.Base(local))
		err = s.upload(local, to)
	}
	if errors.Is(err, io.EOF) && err != nil {
		err = io.ErrUnexpectedEOF
	}
	var lost *client.LocalError
	if errors.As(err, &lost) {
		return localProblem(local, err)
	}
	return at(s.remote.join(to), err)
}

func (s *sender) upload(local, to string) error {
	m := s.meter.file(filepath.Base(local))
	var res client.Result
	err := s.k.do(func(cl *client.Client, try int) (err error) {
		res, err = cl.Upload(s.k.ctx, s.fs, local, to, client.FileOptions{
			Resume: s.resume || try > 0, ASCII: s.ascii, Progress: m.progress(),
		})
		return err
	})
	m.done(res, err)
	s.results.add(transferResult{URL: s.remote.join(to), Local: local, Bytes: res.Bytes, Seconds: res.Took.Seconds(), Verified: res.Verified}, err)
	return err
}

func (s *sender) isRemoteDir(p string) bool {
	dir := false
	_ = s.k.do(func(cl *client.Client, _ int) error {
		entry, err := cl.Stat(s.k.ctx, p)
		dir = err == nil && entry.IsDir()
		return err
	})
	return dir
}

// tree sends a directory, as cp -r: into the target if that is there, else as
// the target. Links are followed only if they are the argument itself.
func (s *sender) tree(local string) error {
	top := strings.TrimRight(s.remote.path, "/")
	if s.intoDir {
		abs, err := filepath.Abs(local)
		if err != nil {
			return localProblem(local, err)
		}
		if filepath.Base(local) != "." {
			top = path.Join(s.remote.path, filepath.Base(abs))
		}
	}
	var files []string
	err := afero.Walk(s.fs, local, func(name string, info fs.FileInfo, err error) error {
		if err != nil {
			return localProblem(name, err)
		}
		below, err := filepath.Rel(local, name)
		if err != nil {
			return err
		}
		to := top
		if below != "." {
			to = path.Join(top, filepath.ToSlash(below))
		}
		switch {
		case info.IsDir():
			return at(s.remote.join(to), s.k.do(func(cl *client.Client, _ int) error {
				if to == "" {
					return nil
				}
				return cl.MakeDirAll(s.k.ctx, to)
			}))
		case !info.Mode().IsRegular():
			s.e.note("%s: left out: it is a link or no regular file", name)
		default:
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.intoDir = true
	return each(s.e, files, func(name string) error {
		below, err := filepath.Rel(local, name)
		if err != nil {
			return localProblem(name, err)
		}
		return s.file(name, path.Join(top, filepath.ToSlash(below)))
	})
}
