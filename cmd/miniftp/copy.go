package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

func copyCommand(e *env) *cli.Command {
	return &cli.Command{
		Name: "copy", Usage: "copy from server to server", ArgsUsage: "URL URL",
		Flags: clientFlags(
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "copy directories and all that is in them"},
			&cli.BoolFlag{Name: "via-client", Usage: "copy through this program, which stores nothing, for servers that may not or can't connect to each other"},
			&cli.BoolFlag{Name: "trust-address", Usage: "let one server connect to any address that the other says it listens on, not only to the other's own"},
			strictFlag()),
		Description: examples("One server sends straight to the other (FXP), so the data never comes here. Both must allow it, as  miniftp serve --fxp USER  does. A second URL that ends in / is a directory. Each URL has its own login, in the URL or ~/.netrc; flags and MINIFTP_PASSWORD apply to both.",
			"miniftp copy ftp://127.0.0.1:2121/README.md ftp://127.0.0.1:2121/again.md",
			"miniftp copy -r ftp://127.0.0.1:2121/docs ftp://127.0.0.1:2121/docs-again"),
		Action: e.runCopy,
	}
}

// copier is one run of copy.
type copier struct {
	e         *env
	ctx       context.Context
	from, to  *link
	recursive bool
	viaClient bool
	intoDir   bool // the second URL is a directory
	meter     *meter
	crew      *crew
	json      *results
	left      *omissions
}

func (e *env) runCopy(c *cli.Context) error {
	if err := wantArgs(c, 2, 2); err != nil {
		return err
	}
	if c.Bool("ascii") || isOn(c, "active") {
		return usagef("copy moves bytes as they are, and each of the two servers may have to listen: neither --ascii nor --active goes with it")
	}
	p := &copier{
		e: e, ctx: c.Context, recursive: c.Bool("recursive"), viaClient: c.Bool("via-client"),
		json: e.newResults(c), left: e.newOmissions(c), crew: e.newCrew(c.Int("parallel")),
	}
	for i, k := range []**link{&p.from, &p.to} {
		l, r, err := e.openArg(c, c.Args().Get(i))
		if err != nil {
			return err
		}
		if i == 1 {
			r.pattern = ""
		}
		*k = l
	}
	defer func() { p.from.close(); p.to.close() }()
	p.left.told = func(from, why string) { p.json.omit(transferResult{From: from}, why) }
	p.rewire(c)
	p.meter = e.newMeter(c)
	if p.recursive {
		p.meter.total(true)
	}
	err := p.run()
	p.meter.wait()
	err = firstError(err, p.left.tell())
	p.meter.sumUp("copied")
	return p.json.end(err, p.meter)
}

// rewire gives both links what only copy has: whom to trust, and a ladder with three
// columns.
func (p *copier) rewire(c *cli.Context) {
	var drawing *copyLadder
	if see, ok := p.from.opts.Observer.(observers); ok && !p.viaClient && c.Int("parallel") == 1 {
		for _, o := range see {
			if l, ok := o.(*ladder); ok && l.page == nil {
				drawing = newCopyLadder(p.e.err, l.pen)
			}
		}
	}
	for _, k := range []*link{p.from, p.to} {
		k.opts.TrustPassiveHost = c.Bool("trust-address")
		if drawing != nil {
			k.opts.Observer = drawing.instead(k.opts.Observer, k == p.from)
		}
		_ = k.pool.Close() // nothing was dialed yet
		k.pool = client.NewPool(k.remote.addr, &k.opts, c.Int("parallel"))
	}
}

func (p *copier) run() error {
	src, dst := p.from.remote, p.to.remote
	if src.path == "" && !p.recursive {
		return usagef("%s names no file; -r copies a whole tree", src)
	}
	files, err := p.from.expand(src)
	if err != nil {
		return err
	}
	p.intoDir = dst.path == "" || strings.HasSuffix(dst.path, "/") || src.pattern != "" || p.to.isDir(dst.path)
	defer files.Close()
	for f, err := range files.All() {
		if err == nil {
			err = p.one(f)
		}
		if err != nil {
			p.crew.judge(err)
			if p.crew.ended() != nil {
				break
			}
		}
	}
	return p.crew.wait()
}

// one copies what the first URL names, or one of the things that it matches.
func (p *copier) one(f client.WalkEntry) error {
	if p.recursive && f.Type == ftp.UnknownEntry {
		err := p.from.do(func(cl *client.Client, _ int) (err error) {
			f.Entry, err = cl.Stat(p.ctx, f.Path)
			return err
		})
		if err != nil {
			return at(p.from.remote.join(f.Path), err)
		}
	}
	to := p.to.remote.path
	if name := base(f.Path); p.intoDir && name != "." && name != "/" {
		to = joinRemote(to, name)
	}
	switch {
	case f.IsDir() && p.recursive:
		return p.tree(f.Path, strings.TrimSuffix(to, "/"))
	case f.IsDir():
		return at(p.from.remote.join(f.Path), errors.New("is a directory: -r copies it with all that is in it"))
	}
	return p.crew.do(func() error { return p.file(f.Path, to) })
}

// tree copies a directory: into the target if that is there, else as the target.
func (p *copier) tree(from, to string) error {
	if err := p.makeDir(to); err != nil {
		return err
	}
	entries, err := p.list(from)
	if err != nil {
		return err
	}
	defer entries.Close()
	for f := range entries.All() {
		if f.Type == ftp.FileEntry {
			p.meter.expect(f.Size)
		}
	}
	for f, err := range entries.All() {
		below := joinRemote(to, strings.TrimPrefix(strings.TrimPrefix(f.Path, strings.TrimSuffix(from, "/")), "/"))
		switch {
		case err != nil:
		case f.Type == ftp.DirEntry:
			err = p.makeDir(below)
		case f.Type == ftp.LinkEntry:
			p.left.add(p.from.remote.join(f.Path), leftLink)
		case f.Type == ftp.OtherEntry:
			p.left.add(p.from.remote.join(f.Path), "it is no regular file")
		default:
			err = p.crew.do(func() error { return p.file(f.Path, below) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list reads the whole tree. What can't be read of it is reported, and left out.
func (p *copier) list(dir string) (*client.Paths, error) {
	all := new(client.Paths)
	err := p.from.do(func(cl *client.Client, _ int) error {
		all.Close() // of a connection that broke
		for f, err := range cl.Walk(p.ctx, dir) {
			switch {
			case err == nil:
				if err := all.Add(f); err != nil {
					return err
				}
			case !cl.Alive() || p.ctx.Err() != nil:
				return err
			default:
				p.crew.judge(at(p.from.remote.join(f.Path), err))
			}
		}
		return nil
	})
	if err != nil {
		all.Close()
	}
	return all, at(p.from.remote.join(dir), err)
}

func (p *copier) makeDir(dir string) error {
	if dir == "" {
		return nil
	}
	k := p.to.on(p.to.remote.join(dir))
	return at(k.at, k.do(func(cl *client.Client, _ int) error { return cl.MakeDirAll(p.ctx, dir) }))
}

// file copies one file. It begins anew when something broke.
func (p *copier) file(from, to string) error {
	src, dst := p.from.remote.join(from), p.to.remote.join(to)
	m := p.meter.file(base(from))
	var res client.CopyResult
	tries := new(client.Tries)
	err := p.from.on(src).retry().Do(p.ctx, func(int) (err error) {
		res, err = p.try(from, to, client.CopyOptions{KeepTime: true, Tries: tries, Progress: m.progress()})
		return err
	})
	m.done(client.Result{Bytes: res.Bytes, Took: res.Took, Verified: res.Verified}, err)
	var no *ftp.Error
	var one *client.CopyError
	if errors.As(err, &one) && !p.viaClient && p.from.opts.TLS != client.NoTLS && client.Temporary(err) {
		err = hinted{err: err, text: fmt.Sprintf("%v\n  the servers may not trust each other's certificates: --via-client copies through this program instead", err)}
	}
	if errors.As(err, &no) && (no.Verb == "SIZE" || no.Verb == "RETR") && !p.recursive && p.from.isDir(from) {
		err = hinted{err: err, text: "is a directory: -r copies it with all that is in it"}
	}
	direct := !p.viaClient
	row := transferResult{From: src, To: dst, Direct: &direct}
	return p.json.add(row.moved(client.Result{Bytes: res.Bytes, Took: res.Took, Verified: res.Verified}), at(src, err))
}

func (p *copier) try(from, to string, o client.CopyOptions) (client.CopyResult, error) {
	var ends [2]*client.Client
	for i, k := range []*link{p.from, p.to} {
		cl, err := k.pool.Get(p.ctx)
		if err != nil {
			return client.CopyResult{}, at(k.remote.server(), tlsHint(loginHint(err, k.opts), k.opts))
		}
		defer k.pool.Put(cl)
		k.stood.Store(true)
		ends[i] = cl
	}
	if p.viaClient {
		return client.CopyThrough(p.ctx, ends[0], from, ends[1], to, o)
	}
	res, err := client.Copy(p.ctx, ends[0], from, ends[1], to, o)
	return res, whoForbids(err, ends[0], ends[1])
}
