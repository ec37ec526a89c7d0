// Package mirror implements the flags, filters and output of the verb mirror. Package ftp/mirror
// decides what to copy and delete.
//
// It is built on connect and meter.
package mirror

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/afero"
	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/target"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/fsroot"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/mirror"
)

// Command returns the verb mirror.
func Command(e *verb.Env) *cli.Command {
	all := new(filters)
	return &cli.Command{
		Name: "mirror", Usage: "make a directory a copy of another", ArgsUsage: "SRC DST",
		Flags: connect.Flags(
			&cli.BoolFlag{Name: "delete", EnvVars: flags.NoVariable, Usage: "delete names that the source does not have"},
			&cli.IntFlag{Name: "max-delete", Value: -1, Usage: "delete at most `N` names", DefaultText: "no limit"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "change nothing, and print what would be done"},
			&cli.GenericFlag{Name: "include", Value: &filterWord{all, true}, Usage: "include names that match the pattern `G`; may be repeated and mixed with --exclude: the first pattern that matches decides", DefaultText: "none"},
			&cli.GenericFlag{Name: "exclude", Value: &filterWord{all, false}, Usage: "neither copy nor delete names that match the pattern `G`; may be repeated", DefaultText: "none"},
			&cli.BoolFlag{Name: "checksum", Usage: "compare contents instead of size and time, using the server's HASH or XCRC, or by reading the files"},
			&cli.BoolFlag{Name: "newer", Usage: "copy only files that are newer at the source"},
			&cli.BoolFlag{Name: "perms", Usage: "also copy permissions"},
			&cli.StringFlag{Name: "links", Value: "skip", Usage: "`skip|follow|copy` symbolic links: skip leaves them out, follow copies their targets, copy makes links if these stay inside the tree"},
			verb.StrictFlag()),
		Description: flags.Examples("Copies the contents of SRC to DST, which is made if missing. Each is a URL or a directory. Only files that differ in size or time are copied. After an interrupt, the same command continues. Links, and names that FTP can't send, are left out and reported once, at the end. "+
			"Patterns are those of rsync: *.iso matches names anywhere, docs/ only directories, /docs only at the top, and docs/** everything in docs."+connect.Storages(),
			"miniftp mirror ftp://127.0.0.1:2121/docs docs-mirror",
			"miniftp mirror --delete --exclude '*.tmp' docs ftp://127.0.0.1:2121/copy",
			"miniftp mirror --dry-run --json ftp://127.0.0.1:2121/docs docs-mirror"),
		Action: func(c *cli.Context) error { return run(e, c, *all) },
	}
}

// side is one of the two arguments: a tree on a server or on disk.
type side struct {
	tree  mirror.Tree
	k     *connect.Link // for a URL
	r     *target.Remote
	local string    // as given, if it is not a URL
	made  bool      // this run made the directory
	open  io.Closer // the root of a local destination
}

func (s *side) close() {
	if s.k != nil {
		s.k.Close()
	}
	if s.open != nil {
		_ = s.open.Close()
	}
}

// name returns the name of a file of the tree for messages.
func (s *side) name(rel string) string {
	switch {
	case s.r != nil && rel == "":
		return s.r.String()
	case s.r != nil:
		return s.r.Join(target.Join(s.r.Path, rel))
	}
	return local.Join(s.local, rel)
}

func run(e *verb.Env, c *cli.Context, all filters) error {
	o, err := options(c, all)
	if err != nil {
		return err
	}
	if err := apart(c.Args().Get(0), c.Args().Get(1)); err != nil {
		return err
	}
	lines := e.NewJSONLines(c)
	// The source comes first: no destination is made if it can't be opened.
	src, err := openSource(e, c, c.Args().Get(0))
	if err != nil {
		return lines.End(err)
	}
	defer src.close()
	dst, err := openTarget(e, c, c.Args().Get(1))
	if err != nil {
		return lines.End(err)
	}
	defer dst.close()
	show := newDisplay(e, c, lines, src, dst)
	o.Observe, o.Progress = show.observe, show.progress
	if k := src.k; k != nil {
		o.Retry = k.Retry()
	} else if k := dst.k; k != nil {
		o.Retry = k.Retry()
	}
	o.Retry.Notify = show.retrying
	if dst.made {
		show.observe(mirror.Action{Kind: mirror.MakeDir})
	}
	o.From, o.To = src.tree, dst.tree
	res, err := mirror.Run(c.Context, o)
	if dst.made {
		res.Dirs++
	}
	return show.end(res, err)
}

// apart returns an error if one of two trees contains the other. With --delete, the source could be
// deleted as a part of the destination; without it, copies would be copied again, without end.
func apart(src, dst string) error {
	if verb.IsURL(src) != verb.IsURL(dst) {
		return nil
	}
	a, b := realPath(src), realPath(dst)
	if verb.IsURL(src) {
		from, err := target.ParseRemote(src)
		if err != nil {
			return err
		}
		to, err := target.ParseRemote(dst)
		if err != nil || !from.SameTree(to) {
			return err
		}
		a, b = path.Join("/", from.Path), path.Join("/", to.Path)
	}
	if within(a, b) || within(b, a) {
		return verb.Usagef("%s and %s overlap: neither directory may be inside the other", ftp.MaskURL(src), ftp.MaskURL(dst))
	}
	return nil
}

// within reports whether path a is b or below it.
func within(a, b string) bool {
	return a == b || strings.HasPrefix(a, strings.TrimRight(b, "/")+"/")
}

// realPath returns the path of a directory with its links resolved, as far as it exists.
func realPath(dir string) string {
	abs, err := local.Abs(dir)
	if err != nil {
		abs = dir
	}
	missing := ""
	for {
		found, err := filepath.EvalSymlinks(abs)
		if err == nil {
			return filepath.ToSlash(filepath.Join(found, missing))
		}
		up := filepath.Dir(abs)
		if up == abs {
			return filepath.ToSlash(filepath.Join(abs, missing))
		}
		abs, missing = up, filepath.Join(filepath.Base(abs), missing)
	}
}

func options(c *cli.Context, all filters) (mirror.Plan, error) {
	o := mirror.Plan{
		Delete: c.Bool("delete"), DryRun: c.Bool("dry-run"), Checksum: c.Bool("checksum"), Newer: c.Bool("newer"),
		Perms: c.Bool("perms"), Parallel: connect.Parallel(c),
	}
	if len(all) > 0 {
		o.Select = all.selects
	}
	switch n := c.Int("max-delete"); {
	case flags.Asked(c, "max-delete") && n < 0:
		return o, verb.Usagef("--max-delete %d: must not be negative", n)
	case n == 0:
		o.MaxDelete = mirror.NoDeletion
	case n > 0:
		o.MaxDelete = n
	}
	switch how := c.String("links"); how {
	case "skip":
	case "follow":
		o.Links = mirror.FollowLinks
	case "copy":
		o.Links = mirror.CopyLinks
	default:
		return o, verb.Usagef("--links %q: %s", how, flags.OneOf("links", how))
	}
	if c.Bool("ascii") {
		return o, verb.Usagef("mirror can't be combined with --ascii: sizes would differ each time")
	}
	return o, nil
}

// remoteSide opens the tree of a URL.
func remoteSide(e *verb.Env, c *cli.Context, url string) (*side, error) {
	k, r, err := connect.OpenURL(e, c, url)
	if err != nil {
		return nil, err
	}
	if r.ASCII {
		k.Close()
		return nil, verb.Usagef("mirror can't be combined with ;type=a: sizes would differ each time")
	}
	s := &side{k: k, r: r}
	s.tree = mirror.Tree{Pool: k.Pool, Root: r.Path}
	if err := k.Do(func(*client.Client) error { return nil }); err != nil { // log in before anything is made
		k.Close()
		return nil, verb.At(r.String(), err)
	}
	return s, nil
}

func openSource(e *verb.Env, c *cli.Context, arg string) (*side, error) {
	if verb.IsURL(arg) {
		s, err := remoteSide(e, c, arg)
		if err == nil {
			err = s.isDir()
		}
		return s, err
	}
	info, err := os.Stat(arg)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, verb.LocalProblem(arg, err)
	}
	return plainSide(arg)
}

// isDir returns an error if a URL is not a directory. This is checked before a local directory is
// made.
func (s *side) isDir() error {
	if s.r.Path == "" || s.tree.Pool == nil {
		return nil
	}
	err := s.k.Do(func(cl *client.Client) error {
		is, err := cl.IsDir(s.k.Ctx, s.r.Path)
		if err == nil && !is { // get the error from the server
			err = cl.ChangeDir(s.k.Ctx, s.r.Path)
		}
		return err
	})
	if err != nil {
		s.close()
	}
	return verb.At(s.r.String(), err)
}

// plainSide returns a directory on disk. Links in it are followed wherever they point.
func plainSide(dir string) (*side, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, verb.LocalProblem(dir, err)
	}
	return &side{local: dir, tree: mirror.Tree{FS: afero.NewOsFs(), Root: filepath.ToSlash(abs)}}, nil
}

// openTarget opens the destination. If it is local, nothing is written outside of it, whatever its
// links point to.
func openTarget(e *verb.Env, c *cli.Context, arg string) (*side, error) {
	if verb.IsURL(arg) {
		return remoteSide(e, c, arg)
	}
	if arg == "" {
		return nil, verb.Usagef("the name of the destination is empty")
	}
	info, err := os.Stat(arg)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && c.Bool("dry-run"):
		return plainSide(arg)
	case missing:
		err = os.MkdirAll(arg, 0o777)
	case err == nil && !info.IsDir():
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, verb.LocalProblem(arg, err)
	}
	root, err := fsroot.OpenRoot(arg)
	if err != nil {
		return nil, verb.LocalProblem(arg, err)
	}
	return &side{local: arg, tree: mirror.Tree{FS: root.WithUpwardLinks(), Root: "/"}, made: missing, open: root}, nil
}
