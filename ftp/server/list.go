package server

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"miniftp/ftp"
)

func listRows() []row {
	return []row{
		{verb: "LIST", perm: PermList, syntax: optionalArg.shape("[-aRtSrd] [<path>]"), rfc: "959 §4.1.3", feat: feature("TVFS"), help: "list a directory, for people; the last name may have * ? [ ]", run: (*session).list},
		{verb: "NLST", perm: PermList, syntax: optionalArg.shape("[-a] [<path>]"), rfc: "959 §4.1.3", help: "list names only", run: (*session).nlst},
		{verb: "MLSD", perm: PermList, syntax: optionalArg, rfc: "3659 §7", help: "list a directory, for programs", run: (*session).mlsd},
		{verb: "MLST", perm: PermList, syntax: optionalArg, rfc: "3659 §7", feat: func(s *session) string { return "MLST " + s.facts.Feature() }, help: "tell the facts of one path", run: (*session).mlst},
		{verb: "STAT", now: true, syntax: optionalArg, rfc: "959 §4.1.3", help: "the state of the session, or list a path here", run: (*session).stat},
	}
}

func (s *session) looker(facts ftp.Facts) looker {
	return looker{fs: s.account.FS, perm: s.account.Perm, facts: facts}
}

func (s *session) list(arg string) ftp.Reply {
	l, p, err := s.lsListing(arg, listLine())
	if err != nil {
		return fileError(err, p)
	}
	return s.send("LIST", arg, p, l)
}

func (s *session) nlst(arg string) ftp.Reply {
	l, p, err := s.lsListing(arg, nameLine)
	if err != nil {
		return fileError(err, p)
	}
	return s.send("NLST", arg, p, l)
}

// lsListing is what LIST and NLST show for their argument: flags, and a
// directory, a file or a pattern.
func (s *session) lsListing(arg string, line func([]byte, *ftp.Entry) []byte) (*listing, string, error) {
	name, flags := s.lsFlags(arg)
	p := s.resolve(name)
	look := s.looker(0)
	if globbed(s.account.FS, p) {
		entries, err := look.glob(p, prefix(name), flags)
		return few(look, entries, line), p, err
	}
	fi, err := s.account.FS.Stat(p)
	if err != nil {
		fi, err = lstat(s.account.FS, p) // a link that leads nowhere can be listed
	}
	if err != nil {
		return nil, p, err
	}
	if !fi.IsDir() || flags.itself {
		e, err := look.one(p)
		if e.Name = name; name == "" {
			e.Name = "."
		}
		return few(look, []ftp.Entry{e}, line), p, err
	}
	l := &listing{look: look, line: line, flags: flags}
	l.look.base = strings.TrimSuffix(s.cwd, "/") + "/"
	if err := l.enter(subdir{path: p}); err != nil {
		return nil, p, err
	}
	if flags.recursive {
		l.first = max(name, ".")
	}
	if flags.all {
		l.dots = l.look.dots(p)
	}
	return l, p, nil
}

// lsFlags takes groups of flags off the front of the argument, unless there is a
// file of that very name.
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

// prefix is the part of a pathname before its last component.
func prefix(name string) string { return name[:strings.LastIndex(name, "/")+1] }

// one is the entry of a single path, links not followed.
func (l *looker) one(p string) (ftp.Entry, error) {
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

// dots is "." and "..".
func (l *looker) dots(p string) []ftp.Entry {
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

// glob finds what matches the last component of p; the names carry the prefix
// that the client wrote, so that it can ask for them.
func (l *looker) glob(p, prefix string, flags lsFlags) ([]ftp.Entry, error) {
	if _, err := path.Match(path.Base(p), ""); err != nil {
		return nil, fs.ErrNotExist
	}
	d, err := l.dir(path.Dir(p))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if !flags.all && !strings.HasPrefix(path.Base(p), ".") {
		d = visible{d}
	}
	var found []ftp.Entry
	for len(found) < sortMost {
		var e ftp.Entry
		if _, err := d.next(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if ok, _ := path.Match(path.Base(p), e.Name); ok && !isUpload(e.Name) {
			e.Name = prefix + e.Name
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		return nil, fs.ErrNotExist
	}
	slices.SortStableFunc(found, flags.compare)
	if flags.reverse {
		slices.Reverse(found)
	}
	return found, nil
}

func (s *session) mlsd(arg string) ftp.Reply {
	p := s.resolve(arg)
	look := s.looker(s.facts)
	fi, err := s.account.FS.Stat(p)
	if err != nil {
		return fileError(err, p)
	}
	if !fi.IsDir() {
		return ftp.Replyf(501, "%s: is not a directory: MLST tells its facts.", p)
	}
	facts := s.facts
	l := &listing{look: look, flags: lsFlags{}, line: func(b []byte, e *ftp.Entry) []byte { return ftp.AppendMLSx(b, e, facts) }}
	if l.open, err = l.look.dir(p); err != nil {
		return fileError(err, p)
	}
	for i, e := range l.look.dots(p) {
		e.Type = ftp.CDirEntry + ftp.EntryType(i)
		if e.Type == ftp.PDirEntry && p == "/" {
			break // the root has no parent
		}
		l.ready = append(l.ready, e)
	}
	return s.send("MLSD", arg, p, l)
}

func (s *session) mlst(arg string) ftp.Reply {
	p := s.resolve(arg)
	look := s.looker(s.facts)
	e, err := look.one(p)
	if err != nil {
		return fileError(err, p)
	}
	e.Name = p
	if !listable(p) {
		return ftp.NewReply(553, "That name can't be shown in a line.")
	}
	return ftp.NewReply(250, "Facts of "+p, " "+string(ftp.AppendMLSx(nil, &e, s.facts)), "End")
}

// maxStatLines bounds a listing that is given in a reply.
const maxStatLines = 2000

// stat is answered on the control connection. Without a path it tells about the
// session, and about a transfer that runs.
func (s *session) stat(arg string) ftp.Reply {
	if arg == "" {
		return s.status()
	}
	if !s.account.Perm.Has(PermList) {
		return ftp.NewReply(550, "STAT: permission denied: this account may not list.")
	}
	l, p, err := s.lsListing(arg, listLine())
	if err != nil {
		return fileError(err, p)
	}
	defer l.Close()
	code := ftp.Code(212)
	if fi, err := s.account.FS.Stat(p); err == nil && !fi.IsDir() {
		code = 213
	}
	lines := []string{"Status of " + p}
	buf := make([]byte, batchBytes)
	var text []byte
	for len(text) < maxStatLines*64 {
		n, err := l.Read(buf)
		text = append(text, buf[:n]...)
		if err != nil {
			break
		}
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\r\n"), "\r\n") {
		if len(lines) > maxStatLines {
			lines = append(lines, " … and more: LIST shows all.")
			break
		}
		if line != "" {
			lines = append(lines, " "+line)
		}
	}
	return ftp.NewReply(code, append(lines, "End")...)
}

func (s *session) status() ftp.Reply {
	lines := []string{
		"miniftp",
		" You: " + s.control.Remote.String() + ", " + ftp.Printable(s.who.user),
		" You are in " + s.cwd,
		" Type " + s.params.Type.String() + ", structure " + s.params.Structure.String() + ", mode " + s.params.Mode.String(),
	}
	if j := s.job; j != nil {
		line := " " + j.cmd.Verb + " " + j.path + ": " + itoa(j.moved.Load())
		if j.total > 0 {
			line += " of " + itoa(j.total)
		}
		lines = append(lines, line+" bytes so far")
	}
	return ftp.NewReply(211, append(lines, "End")...)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
