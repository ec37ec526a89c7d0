// Package copy implements the verb copy, which makes one server send files directly to another. If
// the servers refuse, it explains which setting forbids it.
//
// It is built on connect, meter and explain, and on the settings of known server products.
package copy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/meter"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/watch"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
)

// Command returns the verb copy.
func Command(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "copy", Usage: "copy from server to server", ArgsUsage: "URL URL",
		Flags: connect.Flags(
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "copy directories with all their contents"},
			&cli.BoolFlag{Name: "via-client", Usage: "copy through this program, which stores nothing; for servers that can't connect to each other or do not allow it"},
			&cli.BoolFlag{Name: "trust-address", Usage: "let one server connect to any address that the other announces, not only to the other's own"},
			verb.StrictFlag()),
		Description: flags.Examples("One server sends directly to the other (FXP); the data does not pass through this host. Both servers must allow it, as  miniftp serve --fxp USER  does. If the second URL ends in /, it is a directory. Each URL can have its own login, in the URL or in ~/.netrc; flags and MINIFTP_PASSWORD apply to both."+connect.Storages(),
			"miniftp copy ftp://127.0.0.1:2121/README.md ftp://127.0.0.1:2121/again.md",
			"miniftp copy -r ftp://127.0.0.1:2121/docs ftp://127.0.0.1:2121/docs-again"),
		Action: func(c *cli.Context) error { return run(e, c) },
	}
}

// copier holds the state of one run of copy.
type copier struct {
	e         *verb.Env
	ctx       context.Context
	from, to  *connect.Link
	recursive bool
	viaClient bool
	intoDir   bool // the second URL is a directory
	meter     *meter.Meter
	workers   *connect.Workers
	results   *meter.Results
	left      *verb.Omissions
}

func run(e *verb.Env, c *cli.Context) error {
	if c.Bool("ascii") || flags.IsOn(c, "active") {
		return verb.Usagef("copy can't be combined with --ascii or --active: it copies bytes unchanged, and either server may have to listen")
	}
	p := &copier{
		e: e, ctx: c.Context, recursive: c.Bool("recursive"), viaClient: c.Bool("via-client"),
		results: meter.NewResults(e, c), left: e.NewOmissions(c), workers: connect.NewWorkers(e, c.Int("parallel")),
	}
	for i, k := range []**connect.Link{&p.from, &p.to} {
		l, r, err := connect.OpenURL(e, c, c.Args().Get(i))
		if err != nil {
			if i == 1 {
				p.from.Close()
			}
			return err
		}
		if i == 1 {
			r.Pattern = ""
		}
		*k = l
	}
	defer func() { p.from.Close(); p.to.Close() }()
	p.viaClient = p.viaClient || p.from.Bridge != nil || p.to.Bridge != nil // a server can't reach a storage here
	p.left.Emit = func(from, why string) { p.results.Omit(meter.Result{From: from}, why) }
	p.setOptions(c)
	p.meter = meter.New(e, c)
	if p.recursive {
		p.meter.Total(true)
	}
	return p.results.End(p.run(), p.left, p.meter, "copied")
}

// setOptions gives both links the options that only copy has: which addresses to trust, and a ladder
// with three columns.
func (p *copier) setOptions(c *cli.Context) {
	var drawing *ladder
	if see, ok := p.from.Opts.Observer.(watch.Observers); ok && !p.viaClient && c.Int("parallel") == 1 {
		for _, o := range see {
			if l, ok := o.(*explain.Ladder); ok && l.Page == nil {
				drawing = newLadder(p.e.Err, l.Pen)
			}
		}
	}
	for _, k := range []*connect.Link{p.from, p.to} {
		k.Opts.TrustPassiveHost = c.Bool("trust-address")
		if drawing != nil {
			k.Opts.Observer = drawing.replace(k.Opts.Observer, k == p.from)
		}
		_ = k.Pool.Close() // it has dialed nothing yet
		k.Pool = client.NewPool(k.Remote.Addr, c.Int("parallel"), &k.Opts)
	}
}

func (p *copier) run() error {
	src, dst := p.from.Remote, p.to.Remote
	if src.Path == "" && !p.recursive {
		return verb.Usagef("%s does not name a file; -r copies a whole tree", src)
	}
	files, err := p.from.Expand(src)
	if err != nil {
		return err
	}
	p.intoDir = dst.Path == "" || strings.HasSuffix(dst.Path, "/") || src.Pattern != "" || p.to.IsDir(dst.Path)
	defer files.Close()
	for f, err := range files.All() {
		if err == nil {
			err = p.one(f)
		}
		if err != nil {
			p.workers.Judge(err)
			if p.workers.Ended() != nil {
				break
			}
		}
	}
	return p.workers.Wait()
}

// one copies the file that the first URL names, or one of those that it matches.
func (p *copier) one(f client.WalkEntry) error {
	if p.recursive && f.Type == ftp.UnknownEntry {
		var err error
		if f.Entry, err = p.from.Stat(f.Path); err != nil {
			return verb.At(p.from.Remote.Join(f.Path), err)
		}
	}
	to := p.to.Remote.Path
	if name := target.Base(f.Path); p.intoDir && name != "." && name != "/" {
		to = target.Join(to, name)
	}
	switch {
	case f.IsDir() && p.recursive:
		return p.tree(f.Path, strings.TrimSuffix(to, "/"))
	case f.IsDir():
		return verb.At(p.from.Remote.Join(f.Path), errors.New("is a directory: use -r to copy it"))
	}
	return p.workers.Do(func() error { return p.file(f.Path, to) })
}

// tree copies a directory: into the target if that exists, otherwise as the target.
func (p *copier) tree(from, to string) error {
	if err := p.makeDir(to); err != nil {
		return err
	}
	entries, err := p.list(from)
	if err != nil {
		return err
	}
	defer entries.Close()
	for f, err := range entries.All() {
		if err == nil && f.Type == ftp.FileEntry {
			p.meter.Expect(f.Size)
		}
	}
	for f, err := range entries.All() {
		below := target.Join(to, strings.TrimPrefix(strings.TrimPrefix(f.Path, strings.TrimSuffix(from, "/")), "/"))
		switch {
		case err != nil:
		case f.Type == ftp.DirEntry:
			err = p.makeDir(below)
		case f.Type == ftp.LinkEntry:
			p.left.Add(p.from.Remote.Join(f.Path), verb.LeftLink)
		case f.Type == ftp.OtherEntry:
			p.left.Add(p.from.Remote.Join(f.Path), "it is not a regular file")
		default:
			err = p.workers.Do(func() error { return p.file(f.Path, below) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list reads the whole tree. Entries that can't be read are reported and left out.
func (p *copier) list(dir string) (*client.Paths, error) {
	all := new(client.Paths)
	err := p.from.Do(func(cl *client.Client) error {
		all.Close() // from a try whose connection broke
		for f, err := range cl.Walk(p.ctx, dir) {
			switch {
			case err == nil:
				if err := all.Add(f); err != nil {
					return err
				}
			case !cl.Alive() || p.ctx.Err() != nil:
				return err
			default:
				p.workers.Judge(verb.At(p.from.Remote.Join(f.Path), err))
			}
		}
		return nil
	})
	if err != nil {
		all.Close()
	}
	return all, verb.At(p.from.Remote.Join(dir), err)
}

func (p *copier) makeDir(dir string) error {
	if dir == "" {
		return nil
	}
	k := p.to.On(p.to.Remote.Join(dir))
	return verb.At(k.At, k.Do(func(cl *client.Client) error { return cl.MakeDirAll(p.ctx, dir) }))
}

// file copies one file. A retry starts over.
func (p *copier) file(from, to string) error {
	src, dst := p.from.Remote.Join(from), p.to.Remote.Join(to)
	m := p.meter.File(target.Base(from))
	res, err := p.copy(from, to, m.Progress())
	m.Done(client.Result{Bytes: res.Bytes, Took: res.Took, Verified: res.Verified}, err)
	if errors.As(err, new(*fxp.Error)) && !p.viaClient && p.from.Opts.TLS != client.NoTLS && client.Temporary(err) && !errors.As(err, new(*fxp.NoWayError)) {
		err = verb.Hinted{Err: err, Text: fmt.Sprintf("%v\n  the servers may not trust each other's certificates: --via-client copies through this program instead", err)}
	}
	if no, ok := errors.AsType[*ftp.Error](err); ok && (no.Verb == "SIZE" || no.Verb == "RETR") && !p.recursive && p.from.IsDir(from) {
		err = verb.Hinted{Err: err, Text: "is a directory: use -r to copy it"}
	}
	direct := !p.viaClient
	row := meter.Result{From: src, To: dst, Direct: &direct}
	return p.results.Add(row.Moved(client.Result{Bytes: res.Bytes, Took: res.Took, Verified: res.Verified}), verb.At(src, err))
}

// copy copies one file. It first connects to each server by itself, so that an error in connecting
// is reported as for any other verb.
func (p *copier) copy(from, to string, progress func(done, total int64)) (fxp.Result, error) {
	for _, k := range []*connect.Link{p.from, p.to} {
		if k.Connected.Load() {
			continue
		}
		if err := k.Do(func(*client.Client) error { return nil }); err != nil {
			return fxp.Result{}, verb.At(k.Remote.Server(), err)
		}
	}
	res, err := fxp.Copy(p.ctx, fxp.Plan{
		From: fxp.File{Pool: p.from.Pool, Path: from}, To: fxp.File{Pool: p.to.Pool, Path: to},
		Through: p.viaClient, KeepTime: true, Progress: progress,
		Retry: p.from.On(p.from.Remote.Join(from)).Retry(),
	})
	return res, withAdvice(err)
}
