package server

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

func listRows() []row {
	return []row{
		{verb: "LIST", perm: PermList, late: true, syntax: flagsArg.shape("[-aRtSrd] [<path>]"), rfc: "959 §4.1.3", feat: feature("TVFS"), help: "list a directory, for people; the last name may have * ? [ ]", run: (*session).list},
		{verb: "NLST", perm: PermList, late: true, syntax: flagsArg.shape("[-a] [<path>]"), rfc: "959 §4.1.3", help: "list names only", run: (*session).nlst},
		{verb: "MLSD", perm: PermList, syntax: optionalArg, rfc: "3659 §7", help: "list a directory, for programs", run: (*session).mlsd},
		{verb: "MLST", perm: PermList, file: true, syntax: optionalArg, rfc: "3659 §7", feat: func(s *session) string { return "MLST " + s.facts.Feature() }, help: "show the facts of one path", run: (*session).mlst},
		{verb: "STAT", now: true, syntax: flagsArg.shape("[<path>]"), rfc: "959 §4.1.3", help: "show the state of the session, or list a path in the reply", run: (*session).stat},
	}
}

func (s *session) describer(facts ftp.Facts) describer {
	return describer{fs: s.account.FS, perm: s.account.Perm, mounts: s.account.Mounts, compat: s.account.Compat, facts: facts}
}

func (s *session) list(arg string) ftp.Reply { return s.ls("LIST", arg, listLine()) }

func (s *session) nlst(arg string) ftp.Reply { return s.ls("NLST", arg, nameLine("")) }

// ls answers LIST and NLST. The matches of a pattern are searched before the reply: if there are none, it must be a
// 550 and not a 150.
func (s *session) ls(verb, arg string, line func([]byte, *ftp.Entry) []byte) ftp.Reply {
	name, flags := s.lsFlags(arg)
	if no, ok := s.mayUse(verb, PermList, s.resolve(name)); !ok {
		return no
	}
	l, p, err := s.lsListing(verb, name, flags, line)
	switch {
	case err != nil:
		return fileError(err, p)
	case l.pattern != "":
		return s.sendFound(verb, arg, p, l)
	}
	return s.send(verb, arg, p, l)
}

// lsListing prepares the listing for the argument of LIST, NLST or STAT: flags, and a directory, a file or a
// pattern, which name is.
func (s *session) lsListing(verb, name string, flags lsFlags, line func([]byte, *ftp.Entry) []byte) (*listing, string, error) {
	p := s.resolve(name)
	l := &listing{desc: s.describer(0), line: line, flags: flags, hidden: flags.all}
	l.desc.namesOnly = verb == "NLST" && !flags.sorted() && !flags.recursive
	if globbed(s.account.FS, p) {
		l.flags.recursive = false
		l.pattern, l.prefix = path.Base(p), prefix(name)
		l.hidden = flags.all || strings.HasPrefix(l.pattern, ".")
		if _, err := path.Match(l.pattern, ""); err != nil {
			return nil, p, fs.ErrNotExist
		}
		return l, p, l.enter(subdir{path: path.Dir(p)})
	}
	fi, err := s.account.FS.Stat(p)
	if err != nil {
		fi, err = lstat(s.account.FS, p) // a dangling link can be listed
	}
	if err != nil {
		return nil, p, err
	}
	if !fi.IsDir() || flags.itself {
		e, err := l.desc.one(p)
		if e.Name = name; name == "" {
			e.Name = "."
		}
		return single(l.desc, e, line), p, err
	}
	l.desc.base = strings.TrimSuffix(s.cwd, "/") + "/"
	if err := l.enter(subdir{path: p}); err != nil {
		return nil, p, err
	}
	if flags.recursive {
		l.first = max(name, ".")
	} else if verb == "NLST" {
		l.line = nameLine(dirPrefix(name))
	}
	if flags.all {
		l.dots = l.desc.dots(p)
	}
	return l, p, nil
}

// lsFlags removes groups of flags from the front of the argument, unless there is a file with that name.
func (s *session) lsFlags(arg string) (string, lsFlags) {
	var flags lsFlags
	rest := arg
	for strings.HasPrefix(rest, "-") {
		if _, err := lstat(s.account.FS, s.resolve(rest)); err == nil {
			return rest, flags
		}
		letters, after, _ := strings.Cut(rest, " ")
		if letters == "--" {
			return after, flags
		}
		if !strings.HasPrefix(letters, "--") {
			flags.add(letters[1:])
		}
		rest = strings.TrimLeft(after, " ")
	}
	return rest, flags
}

// dirPrefix returns what NLST writes before the names in a directory so that RETR accepts them as pathnames
// (RFC 1123 §4.1.2.7): the directory as the client has written it. Names in the working directory need no
// prefix.
func dirPrefix(name string) string {
	switch {
	case name == "", name == ".":
		return ""
	case strings.HasSuffix(name, "/"):
		return name
	}
	return name + "/"
}

// prefix returns the part of a pathname before its last component.
func prefix(name string) string { return name[:strings.LastIndex(name, "/")+1] }

// one returns the entry of a single path. It does not follow links.
func (l *describer) one(p string) (ftp.Entry, error) {
	fi, err := lstat(l.fs, p)
	if err != nil {
		return ftp.Entry{}, err
	}
	var parent rights
	if dir, err := l.fs.Stat(path.Dir(p)); err == nil && p != "/" {
		parent = l.rights(dir)
	}
	var e ftp.Entry
	l.entry(&e, fi, p, parent)
	return e, nil
}

// dots returns the entries "." and ".." of p.
func (l *describer) dots(p string) []ftp.Entry {
	var entries []ftp.Entry
	for _, d := range []struct{ name, path string }{{".", p}, {"..", path.Dir(p)}} {
		if fi, err := l.fs.Stat(d.path); err == nil {
			var e ftp.Entry
			l.entry(&e, fi, d.path, 0)
			e.Name = d.name
			entries = append(entries, e)
		}
	}
	return entries
}

// mlsd lists a directory with facts: first the directory itself and its parent, then the entries (RFC 3659
// §7.2).
func (s *session) mlsd(arg string) ftp.Reply {
	p := s.resolve(arg)
	desc := s.describer(s.facts)
	fi, err := s.account.FS.Stat(p)
	if err != nil {
		return fileError(err, p)
	}
	if !fi.IsDir() {
		return ftp.Replyf(501, "%s: is not a directory: use MLST.", p)
	}
	facts := s.facts
	l := &listing{desc: desc, hidden: true, line: func(b []byte, e *ftp.Entry) []byte { return ftp.AppendMLSx(b, e, facts) }}
	if l.open, err = l.desc.dir(p); err != nil {
		return fileError(err, p)
	}
	for i, e := range l.desc.dots(p) {
		e.Type = ftp.CDirEntry + ftp.EntryType(i)
		if e.Type == ftp.PDirEntry && p == "/" {
			break // the root has no parent
		}
		l.ready = append(l.ready, e)
	}
	return s.send("MLSD", arg, p, l)
}

// mlst returns the facts of one path in the reply.
func (s *session) mlst(arg string) ftp.Reply {
	p := s.meant(arg)
	desc := s.describer(s.facts)
	e, err := desc.one(p)
	if err != nil {
		return fileError(err, p)
	}
	e.Name = p
	if !listable(p) {
		return ftp.NewReply(553, "The name has a line break and can't be shown.")
	}
	return ftp.NewReply(250, "Facts of "+p, " "+string(ftp.AppendMLSx(nil, &e, s.facts)), "End")
}

// maxStatLines limits a listing in a reply.
const maxStatLines = 2000

// stat lists a path in the reply on the control connection. Without a path it describes the session and the
// running transfer.
func (s *session) stat(arg string) ftp.Reply {
	if arg == "" {
		return s.status()
	}
	name, flags := s.lsFlags(arg)
	if !s.may(PermList, s.resolve(name)) {
		return ftp.NewReply(550, "STAT: permission denied: this account may not list"+s.inMount(s.resolve(name))+".")
	}
	l, p, err := s.lsListing("STAT", name, flags, listLine())
	if err != nil {
		return fileError(err, p)
	}
	code := ftp.Code(212)
	if fi, err := s.account.FS.Stat(p); err == nil && !fi.IsDir() {
		code = 213
	}
	var lines []string
	j := &task{cmd: ftp.Command{Verb: "STAT", Arg: arg}, path: p, inTurn: true}
	j.work = func(ctx context.Context, _ *task) (res dtp.Result) {
		if res = search(ctx, l); res.Err == nil {
			if lines, res.Err = statLines(l); res.Err != nil {
				res.Err = &dtp.LocalError{Err: res.Err}
			}
		}
		return res
	}
	j.finish = func(res dtp.Result) ftp.Reply {
		_ = l.Close()
		if res.Err != nil {
			return s.listed(j, res)
		}
		return ftp.NewReply(code, slices.Concat([]string{"Status of " + p}, lines, []string{"End"})...)
	}
	return s.start(j)
}

// statLines returns a listing as lines of a reply.
func statLines(l *listing) (lines []string, err error) {
	var text, buf []byte
	buf = make([]byte, batchBytes)
	for err == nil && len(text) < maxStatLines*64 {
		var n int
		n, err = l.Read(buf)
		text = append(text, buf[:n]...)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\r\n"), "\r\n") {
		if len(lines) >= maxStatLines {
			return append(lines, " … and more: LIST shows all."), nil
		}
		if line != "" {
			lines = append(lines, " "+line)
		}
	}
	return lines, nil
}

func (s *session) status() ftp.Reply {
	lines := []string{
		"miniftp",
		" You: " + s.control.Remote.String() + ", " + ftp.Printable(s.identity.user),
		" You are in " + s.cwd,
		" Type " + s.params.Type.String() + ", structure " + s.params.Structure.String() + ", mode " + s.params.Mode.String(),
	}
	if j := s.task; j != nil {
		line := " " + j.cmd.Verb + " " + j.path + ": " + itoa(j.moved.Load())
		if j.total > 0 {
			line += " of " + itoa(j.total)
		}
		line += " bytes so far"
		if j.gate {
			line += "; it is being checked"
		}
		lines = append(lines, line)
	}
	return ftp.NewReply(211, append(lines, "End")...)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// send starts the transfer of a listing.
func (s *session) send(verb, arg, p string, l *listing) ftp.Reply {
	j := &task{cmd: ftp.Command{Verb: verb, Arg: arg}, path: p, dir: ftp.Retrieve}
	l.stop = func() error { return context.Cause(j.ctx) }
	l.sorts = &s.srv.sorts
	j.finish = func(res dtp.Result) ftp.Reply {
		_ = l.Close()
		return s.listed(j, res)
	}
	return s.transfer(j, dtp.Job{Source: l, Type: ftp.Image})
}

// sendFound searches for the matches of a pattern in one task and sends them in a second one, which finish
// starts.
func (s *session) sendFound(verb, arg, p string, l *listing) ftp.Reply {
	j := &task{cmd: ftp.Command{Verb: verb, Arg: arg}, path: p, dir: ftp.Retrieve}
	l.sorts = &s.srv.sorts
	j.work = func(ctx context.Context, _ *task) dtp.Result { return search(ctx, l) }
	j.finish = func(res dtp.Result) ftp.Reply {
		if res.Err == nil && s.dead == nil {
			return s.send(verb, arg, p, l)
		}
		_ = l.Close()
		return s.listed(j, res)
	}
	return s.start(j)
}

// search reads ahead in a listing (see find).
func search(ctx context.Context, l *listing) dtp.Result {
	l.stop = func() error { return context.Cause(ctx) }
	if err := l.find(); err != nil {
		return dtp.Result{Err: &dtp.LocalError{Err: err}}
	}
	return dtp.Result{}
}

// listed returns the final reply of a listing.
func (s *session) listed(j *task, res dtp.Result) ftp.Reply {
	if errors.Is(res.Err, errTooMuch) {
		s.emitRefused("the listing was stopped: it is too long", ftp.ReasonOther)
		return ftp.NewReply(451, "The listing is too long: only a part of it was sent.")
	}
	return s.verdict(j, res)
}
