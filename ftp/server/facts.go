package server

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"miniftp/ftp"
)

func factRows() []row {
	return []row{
		{verb: "SIZE", perm: PermRead, file: true, syntax: pathArg, rfc: "3659 §4", feat: feature("SIZE"), help: "show how many bytes a file has, in TYPE I", run: (*session).size},
		{verb: "MDTM", changes: true, perm: PermRead, late: true, file: true, syntax: timeArg, rfc: "3659 §3", feat: feature("MDTM"), help: "show when a file was modified; with a time: set it", run: (*session).mdtm},
		{verb: "MFMT", changes: true, perm: PermChange, file: true, syntax: factArg.shape("<time> <path>"), rfc: "draft-somers-ftp-mfxx", feat: feature("MFMT"), help: "set the time of modification", run: (*session).mfmt},
		{verb: "MFF", changes: true, perm: PermChange, file: true, syntax: factArg.shape("<fact>=<value>; <path>"), rfc: "draft-somers-ftp-mfxx", feat: feature("MFF Modify;UNIX.mode;"), help: "set facts: Modify, UNIX.mode", run: (*session).mff},
	}
}

// size answers SIZE, in TYPE I only: in ASCII the number would differ from what RETR sends. If the file does
// not exist but an upload to it was interrupted, the size is that of the partial upload, which is the offset to
// resume from.
func (s *session) size(arg string) ftp.Reply {
	p := s.meant(arg)
	if s.params.Type == ftp.ASCII {
		return ftp.NewReply(550, "SIZE is exact in TYPE I only.")
	}
	fi, err := s.account.FS.Stat(p)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && s.may(PermStore, p) {
			if kept, err := s.keptSize(p); err == nil {
				return ftp.Replyf(213, "%d", kept)
			}
		}
		return fileError(err, p)
	}
	if !fi.Mode().IsRegular() {
		return ftp.Replyf(550, "%s: is not a regular file.", p)
	}
	return ftp.Replyf(213, "%d", fi.Size())
}

// keptSize returns how many bytes of an interrupted upload of the account to a new file are kept.
func (s *session) keptSize(p string) (int64, error) {
	storage, inside := s.at(p)
	if files, ok := storage.(UploadFs); ok {
		kept, _, err := s.keptStored(files, inside)
		return kept, err
	}
	kept, err := lstat(s.account.FS, partialOf(path.Base(p), s.owner, nil).sibling(p))
	if err != nil || !kept.Mode().IsRegular() {
		return 0, fs.ErrNotExist
	}
	return kept.Size(), nil
}

// mdtm returns the modification time of a file. With a time before the path it sets it: some clients do that if
// there is no MFMT. If a file with the whole argument as its name exists, that file is meant.
func (s *session) mdtm(arg string) ftp.Reply {
	p := s.meant(arg)
	fi, err := s.account.FS.Stat(p)
	if err != nil {
		if at, rest, ok := timeAndPath(arg); ok {
			p := s.meant(rest)
			if !s.may(PermChange, p) {
				return ftp.NewReply(550, "MDTM: permission denied: this account may not change files"+s.inMount(p)+".")
			}
			return s.setTime(at, p)
		}
	}
	if no, ok := s.mayUse("MDTM", PermRead, p); !ok {
		return no
	}
	if err != nil {
		return fileError(err, p)
	}
	return ftp.NewReply(213, ftp.FormatTime(fi.ModTime()))
}

func (s *session) mfmt(arg string) ftp.Reply {
	at, rest, ok := timeAndPath(arg)
	if !ok {
		return ftp.NewReply(501, "The syntax is: MFMT YYYYMMDDHHMMSS <path>")
	}
	p := s.meant(rest)
	r := s.setTime(at, p)
	if r.Code != 213 {
		return r
	}
	return ftp.Replyf(213, "Modify=%s; %s", r.Text(), p)
}

func timeAndPath(arg string) (at time.Time, rest string, ok bool) {
	word, rest, found := strings.Cut(arg, " ")
	at, _, err := ftp.ParseTime(word)
	return at, rest, found && err == nil && rest != ""
}

// setTime sets the modification time and replies 213 with the time that the file has afterwards.
func (s *session) setTime(at time.Time, p string) ftp.Reply {
	stored := s.stored != nil && s.stored.path == p && s.stored.time.Equal(at)
	fi, no := s.setAttributes(p, attributes{time: &at, timeStored: stored})
	if fi == nil {
		return no
	}
	return ftp.NewReply(213, ftp.FormatTime(fi.ModTime()))
}

// mff sets several facts, all or none. The reply lists those that were set.
func (s *session) mff(arg string) ftp.Reply {
	facts, name, found := strings.Cut(arg, " ")
	if !found || name == "" || facts == "" {
		return ftp.NewReply(501, "The syntax is: MFF Modify=YYYYMMDDHHMMSS;UNIX.mode=0644; <path>")
	}
	var a attributes
	for fact := range strings.SplitSeq(strings.TrimSuffix(facts, ";"), ";") {
		key, value, _ := strings.Cut(fact, "=")
		switch strings.ToLower(key) {
		case "modify":
			at, _, err := ftp.ParseTime(value)
			if err != nil {
				return ftp.NewReply(501, "Modify takes YYYYMMDDHHMMSS.")
			}
			a.time = &at
		case "unix.mode":
			mode, ok := parseMode(value)
			if !ok {
				return ftp.NewReply(501, "UNIX.mode takes an octal number up to 777.")
			}
			a.mode = &mode
		default:
			return ftp.Replyf(504, "The fact %q can't be set.", ftp.Printable(key))
		}
	}
	p := s.meant(name)
	fi, no := s.setAttributes(p, a)
	if fi == nil {
		return no
	}
	set := ""
	if a.time != nil {
		set += "Modify=" + ftp.FormatTime(fi.ModTime()) + ";"
	}
	if a.mode != nil {
		set += fmt.Sprintf("UNIX.mode=%04o;", fi.Mode().Perm())
	}
	return ftp.Replyf(213, "%s %s", set, p)
}
