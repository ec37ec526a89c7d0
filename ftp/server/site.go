package server

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/afero"

	"miniftp/ftp"
)

func siteRows() []row {
	return []row{
		{verb: "SITE HELP", syntax: noArg, rfc: "959 §4.1.3", help: "list the SITE commands", run: (*session).siteHelp},
		{verb: "SITE CHMOD", changes: true, perm: PermChange, file: true, syntax: factArg.shape("<mode> <path>"), help: "set the permission bits, in octal", run: (*session).chmod},
		{verb: "SITE UTIME", changes: true, perm: PermChange, late: true, file: true, syntax: timeArg.shape("<time> <path>"), help: "set the time of modification", run: (*session).utime},
		{verb: "SITE SYMLINK", changes: true, perm: PermMakeDir, syntax: factArg.shape("<target> <path>"), help: "make a symbolic link to what is below its directory", run: (*session).symlink},
		{verb: "SITE UMASK", syntax: textArg.shape("[<mask>]"), help: "show or set which permission bits new files and directories lose", run: (*session).setUmask},
		{verb: "SITE QUOTA", syntax: noArg, help: "show your quota and what is used of it", run: (*session).siteQuota},
		{verb: "SITE IDLE", syntax: textArg.shape("[<seconds>]"), help: "show or set how long you may be idle", run: (*session).setIdle},
	}
}

func (s *session) siteHelp(string) ftp.Reply {
	lines := []string{"SITE knows:"}
	for _, r := range s.srv.table.rows {
		if strings.HasPrefix(r.verb, "SITE ") {
			lines = append(lines, " "+strings.TrimRight(r.verb+" "+r.syntax.text, " ")+"  "+r.help)
		}
	}
	return ftp.NewReply(214, append(lines, "That is all.")...)
}

// parseMode parses permission bits. It does not accept set-uid, set-gid or sticky bits.
func parseMode(s string) (fs.FileMode, bool) {
	n, err := strconv.ParseUint(s, 8, 16)
	return fs.FileMode(n), err == nil && n <= 0o777
}

func (s *session) chmod(arg string) ftp.Reply {
	word, name, _ := strings.Cut(arg, " ")
	mode, ok := parseMode(word)
	if !ok || name == "" {
		return ftp.NewReply(501, "The syntax is: SITE CHMOD 644 <path>")
	}
	p := s.meant(name)
	fi, no := s.setAttributes(p, attributes{mode: &mode})
	if fi == nil {
		return no
	}
	return ftp.Replyf(200, "The mode of %s is now %03o.", p, fi.Mode().Perm())
}

// utime accepts both forms in use: "YYYYMMDDhhmm[ss] path" and "path atime mtime ctime UTC".
func (s *session) utime(arg string) ftp.Reply {
	if f := strings.Split(arg, " "); len(f) > 4 && strings.EqualFold(f[len(f)-1], "UTC") {
		at, _, err := ftp.ParseTime(padSeconds(f[len(f)-3]))
		if err != nil {
			return ftp.NewReply(501, "The syntax is: SITE UTIME <path> <atime> <mtime> <ctime> UTC")
		}
		return s.siteTime(at, strings.Join(f[:len(f)-4], " "))
	}
	word, name, _ := strings.Cut(arg, " ")
	at, _, err := ftp.ParseTime(padSeconds(word))
	if err != nil || name == "" {
		return ftp.NewReply(501, "The syntax is: SITE UTIME YYYYMMDDhhmmss <path>")
	}
	return s.siteTime(at, name)
}

func padSeconds(s string) string {
	if len(s) == len("YYYYMMDDhhmm") {
		return s + "00"
	}
	return s
}

func (s *session) siteTime(at time.Time, name string) ftp.Reply {
	p := s.meant(name)
	if no, ok := s.mayUse("SITE UTIME", PermChange, p); !ok {
		return no
	}
	if r := s.setTime(at, p); r.Code != 213 {
		return r
	}
	return ftp.NewReply(200, "The time is set.")
}

// symlink makes a link if the storage has links. The storage refuses a target outside the tree.
func (s *session) symlink(arg string) ftp.Reply {
	target, name, _ := strings.Cut(arg, " ")
	if target == "" || name == "" {
		return ftp.NewReply(501, "The syntax is: SITE SYMLINK <target> <path>")
	}
	if isReservedName(path.Base(target)) {
		return ftp.NewReply(553, "Names like that are reserved for partial uploads.")
	}
	p := s.resolve(name)
	storage, inside := s.at(p)
	l, ok := storage.(afero.Linker)
	if !ok {
		return ftp.NewReply(504, "This storage has no symbolic links.")
	}
	if no, apart := s.apart(p, cleanPath(path.Join(path.Dir(p), target))); apart && !strings.HasPrefix(target, "/") {
		return no
	}
	if err := isDir(s.account.FS, path.Dir(p)); err != nil {
		return fileError(err, path.Dir(p))
	}
	err := l.SymlinkIfPossible(target, inside)
	if errors.Is(err, fs.ErrPermission) {
		return ftp.Replyf(550, "%s: permission denied. A link may lead only to what is in its own directory or below it.", p)
	}
	if err != nil {
		return fileError(err, p)
	}
	return ftp.Replyf(200, "The link %s is made.", p)
}

// setUmask sets the umask for files and directories that this session creates. It adds to Account.Umask and to the umask of the
// server's process, and can't remove bits from those.
func (s *session) setUmask(arg string) ftp.Reply {
	if arg = strings.TrimSpace(arg); arg != "" {
		mask, ok := parseMode(arg)
		if !ok {
			return ftp.NewReply(501, "SITE UMASK takes an octal number up to 777.")
		}
		s.umask = mask | s.account.Umask
	}
	return ftp.Replyf(200, "New files and directories lose the bits %03o and those of the server's own umask.", s.umask)
}

// setIdle sets the idle limit of this session, up to Options.IdleTimeout.
func (s *session) setIdle(arg string) ftp.Reply {
	if strings.TrimSpace(arg) == "" {
		return ftp.Replyf(200, "You may be idle for %d seconds.", int(s.idle.Seconds()))
	}
	n, err := ftp.ParseOffset(strings.TrimSpace(arg))
	most := s.set.IdleTimeout
	least := min(minIdle, most)
	if err != nil || n < int64(least/time.Second) || n > int64(most/time.Second) {
		return ftp.Replyf(501, "SITE IDLE takes %d to %d seconds.", int(least.Seconds()), int(most.Seconds()))
	}
	s.idle = time.Duration(n) * time.Second
	s.alarm.forget() // so that the next read sets the new deadline
	return ftp.Replyf(200, "You may be idle for %d seconds now.", n)
}
