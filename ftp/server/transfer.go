package server

import (
	"errors"
	"io"
	"math"
	"strings"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

func transferRows() []row {
	return []row{
		{verb: "RETR", perm: PermRead, file: true, syntax: pathArg, rfc: "959 §4.1.3", help: "send a file to you", run: (*session).retr},
		{verb: "STOR", changes: true, perm: PermStore, syntax: pathArg, rfc: "959 §4.1.3", help: "receive a file from you", run: (*session).stor},
		{verb: "STOU", changes: true, perm: PermStore, late: true, syntax: optionalArg, rfc: "1123 §4.1.2.9", help: "receive a file under a new name", run: (*session).stou},
		{verb: "APPE", changes: true, perm: PermStore, syntax: pathArg, rfc: "959 §4.1.3", help: "append to a file, or create it", run: (*session).appe},
		{verb: "REST", syntax: wordArg.shape("<offset>"), rfc: "3659 §5", feat: feature("REST STREAM"), help: "start the next transfer at that byte", run: (*session).rest},
		{verb: "RANG", syntax: wordArg.shape("<first> <last>"), rfc: "draft-bryan-ftp-range", feat: feature("RANG STREAM"), help: "limit the next RETR or HASH to those bytes", run: (*session).rang},
		{verb: "ALLO", syntax: wordArg.shape("<bytes> [R <record>]"), rfc: "959 §4.1.3", help: "check whether there is room for an upload", run: (*session).allo},
		{verb: "ABOR", anyone: true, syntax: noArg, rfc: "959 §4.1.3", help: "stop the running transfer", run: (*session).abor},
	}
}

// retr sends a file, from the offset of REST or the range of RANG. The size is taken once: of a file that grows
// only the bytes announced in the 150 are sent, and one that has become shorter is answered with 451 although
// all of it was sent.
func (s *session) retr(arg string) ftp.Reply {
	path := s.meant(arg)
	f, size, reply := s.openFile(path)
	if f == nil {
		return reply
	}
	start, end := s.pend.restart, size
	if s.pend.end >= 0 {
		end = min(s.pend.end+1, size)
	}
	if start > size {
		_ = f.Close()
		return ftp.Replyf(554, "%s has only %d bytes: it can't be sent from byte %d.", path, size, start)
	}
	if start > 0 {
		if _, err := f.Seek(start, io.SeekStart); err != nil {
			_ = f.Close()
			return fileError(err, path)
		}
	}
	j := &task{cmd: ftp.Command{Verb: "RETR", Arg: arg}, path: path, dir: ftp.Retrieve, offset: start}
	// In TYPE A the number of bytes on the wire is not known in advance: the 150 does not announce it, and
	// there are no restart markers.
	image := s.params.Type != ftp.ASCII
	want := end - start
	if image {
		j.total = want
	}
	j.finish = func(res dtp.Result) ftp.Reply {
		got := res.Bytes
		if !image && res.Err == nil { // res.Bytes counts the CRs that TYPE A adds
			if at, err := f.Seek(0, io.SeekCurrent); err == nil {
				got = at - start
			}
		}
		_ = f.Close()
		if res.Err == nil && got < want {
			return ftp.Replyf(451, "%s became shorter while it was sent: %d of %d bytes were sent.", path, got, want)
		}
		if res.Err == nil {
			c := Change{Verb: "RETR", Path: path, Offset: start, Bytes: res.Bytes}
			if err := s.recorded(s.ctx(), c, func() error { return nil }); err != nil {
				return fileError(err, path)
			}
		}
		return s.verdict(j, res)
	}
	return s.transfer(j, dtp.Job{Source: f, Size: want, Type: s.params.Type, Marks: image, Offset: start})
}

// openFile opens a regular file to read. If the file is nil, the reply says why.
func (s *session) openFile(path string) (afero.File, int64, ftp.Reply) {
	f, err := s.account.FS.Open(path)
	if err != nil {
		return nil, 0, fileError(err, path)
	}
	fi, err := f.Stat()
	switch {
	case err != nil:
		_ = f.Close()
		return nil, 0, fileError(err, path)
	case fi.IsDir():
		_ = f.Close()
		return nil, 0, ftp.Replyf(550, "%s: is a directory.", path)
	case !fi.Mode().IsRegular():
		_ = f.Close()
		return nil, 0, ftp.Replyf(550, "%s: is not a regular file.", path)
	}
	return f, fi.Size(), ftp.Reply{}
}

func (s *session) stor(arg string) ftp.Reply {
	path := s.resolve(arg)
	u, no := s.openMakingDirs(path, func() (incoming, error) { return s.openUpload(path, s.pend.restart) })
	if u == nil {
		return no
	}
	return s.receive(u, "STOR", arg)
}

func (s *session) appe(arg string) ftp.Reply {
	if s.pend.restart > 0 { // REST 0 changes nothing
		return ftp.NewReply(503, "APPE continues at the end of the file: use REST with STOR.")
	}
	path := s.resolve(arg)
	u, no := s.openMakingDirs(path, func() (incoming, error) { return s.openAppend(path) })
	if u == nil {
		return no
	}
	return s.receive(u, "APPE", arg)
}

// stou stores a file under a new name, which is based on the argument.
func (s *session) stou(arg string) ftp.Reply {
	if arg == "" {
		arg = "upload"
	}
	p := s.resolve(arg)
	if no, ok := s.mayUse("STOU", PermStore, p); !ok {
		return no
	}
	if isFixed(s.account.Mounts, p) { // the name that STOU makes of it would be in another storage
		return s.fixed(p)
	}
	u, no := s.openMakingDirs(p, func() (incoming, error) { return s.openUnique(p) })
	if u == nil {
		return no
	}
	return s.receive(u, "STOU", arg)
}

// rest sets the offset of the next transfer.
func (s *session) rest(arg string) ftp.Reply {
	n, err := ftp.ParseOffset(strings.TrimSpace(arg))
	switch {
	case err != nil:
		return ftp.NewReply(501, "REST takes a number of bytes.")
	case n > 0 && s.params.Type == ftp.ASCII:
		return noOffsets
	}
	s.pend = pending{restart: n, end: -1}
	return ftp.Replyf(350, "The next transfer starts at byte %d.", n)
}

// rang sets the first and the last byte of the next RETR or HASH; "RANG 1 0" withdraws the range. Both are
// bounded by maxOffset, so that the end of the range can be computed without overflow.
func (s *session) rang(arg string) ftp.Reply {
	first, last, _ := strings.Cut(strings.TrimSpace(arg), " ")
	from, err1 := ftp.ParseOffset(first)
	to, err2 := ftp.ParseOffset(strings.TrimSpace(last))
	if err1 != nil || err2 != nil {
		return ftp.NewReply(501, "RANG takes the first and the last byte.")
	}
	if from == 1 && to == 0 {
		s.pend = pending{end: -1}
		return ftp.NewReply(350, "The next transfer covers the whole file.")
	}
	if from > to {
		return ftp.NewReply(501, "The last byte comes before the first.")
	}
	if s.params.Type == ftp.ASCII {
		return noOffsets
	}
	from, to = min(from, maxOffset), min(to, maxOffset)
	s.pend = pending{restart: from, end: to}
	return ftp.Replyf(350, "The next transfer covers the bytes %d to %d.", from, to)
}

const maxOffset = math.MaxInt64 - 1

// noOffsets refuses an offset in TYPE A. The offset of REST counts the bytes as they are sent (RFC 3659 §5.1),
// and in ASCII these differ from the bytes of the file.
var noOffsets = ftp.NewReply(504, "Offsets are exact in TYPE I only: send TYPE I first.")

// misused returns the refusal of a verb that can't do what a preceding REST or RANG has asked for. To ignore
// that would read or write the wrong bytes.
func (s *session) misused(verb string) (ftp.Reply, bool) {
	restarts, ranges := s.pend.restart > 0, s.pend.end >= 0
	switch verb {
	case "RETR", "HASH":
	case "STOR":
		if ranges {
			return ftp.NewReply(503, "RANG is for RETR and HASH: use REST with STOR."), true
		}
	case "STOU":
		if restarts || ranges {
			return ftp.NewReply(503, "STOU makes a new file: use REST with STOR."), true
		}
	case "APPE":
		if restarts || ranges {
			return ftp.NewReply(503, "APPE continues at the end of the file: use REST with STOR."), true
		}
	default:
		return ftp.Reply{}, false
	}
	return noOffsets, (restarts || ranges) && s.params.Type == ftp.ASCII
}

// allo reports a lack of room if the storage can tell its free space.
func (s *session) allo(arg string) ftp.Reply {
	f := strings.Fields(arg)
	n, err := ftp.ParseOffset(f[0])
	if err != nil || len(f) != 1 && (len(f) != 3 || !strings.EqualFold(f[1], "R")) {
		return ftp.NewReply(501, "ALLO takes a number of bytes.")
	}
	switch room, err := s.quotaAt(s.cwd).room(s.ctx(), -1, 0); {
	case errors.Is(err, errQuota) || err == nil && n > room:
		return ftp.Replyf(552, "That exceeds the quota of this account: there is room for %d bytes.", room)
	case err != nil: // uploads are refused for the same reason
		return uploadError(err, s.cwd)
	}
	if free, err := s.free(s.cwd); err == nil && n > free {
		return ftp.Replyf(452, "There is room for %d bytes only.", free)
	}
	return ftp.NewReply(200, "There is room.")
}

// free returns the free space at path in bytes, or errors.ErrUnsupported if the storage can't tell it.
func (s *session) free(path string) (int64, error) {
	quota := s.quotaAt(path)
	room, err := quota.room(s.ctx(), -1, 0)
	if errors.Is(err, errQuota) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	storage, inside := s.at(path)
	if d, ok := storage.(FreeFs); ok {
		free, err := d.Free(inside)
		if _, mounted := storage.(MountFs); !mounted || !errors.Is(err, errors.ErrUnsupported) {
			return min(free, room), err
		}
	}
	if quota != nil && quota.limit.Bytes > 0 {
		return room, nil
	}
	return 0, errors.ErrUnsupported
}

// abor has nothing left to stop: command has stopped a running transfer when it read the line, and that
// transfer has got its 426 before this reply (RFC 959 §4.1.3). A data connection that is open but unused is
// closed.
func (s *session) abor(string) ftp.Reply {
	s.data.Close()
	return ftp.NewReply(226, "No transfer is running.")
}
