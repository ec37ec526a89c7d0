package server

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"strings"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

func hashRows() []row {
	rows := []row{
		{verb: "HASH", perm: PermRead, syntax: pathArg, rfc: "draft-bryan-ftpext-hash", feat: hashFeature, help: "hash a file, or the range of RANG", run: (*session).hashFile},
	}
	for _, a := range algorithms {
		rows = append(rows, row{
			verb: a.verb, perm: PermRead, syntax: pathArg.shape("<path> [<first> [<end>]]"), feat: feature(a.verb),
			help: "hash a file by " + a.name,
			run:  func(s *session, arg string) ftp.Reply { return s.oldHash(a, arg) },
		})
	}
	return rows
}

// algorithm is one way to hash; a new one is one more line here.
type algorithm struct {
	name string // of HASH
	verb string // the older command
	new  func() hash.Hash
}

var algorithms = []algorithm{
	{"SHA-256", "XSHA256", sha256.New},
	{"SHA-512", "XSHA512", sha512.New},
	{"SHA-1", "XSHA1", sha1.New},
	{"MD5", "XMD5", md5.New},
	{"CRC32", "XCRC", func() hash.Hash { return crc32.NewIEEE() }},
}

const defaultHash = "SHA-256"

func findAlgorithm(name string) (algorithm, bool) {
	for _, a := range algorithms {
		if strings.EqualFold(a.name, name) {
			return a, true
		}
	}
	return algorithm{}, false
}

func hashFeature(s *session) string {
	line := "HASH "
	for _, a := range algorithms {
		line += a.name
		if a.name == s.hash {
			line += "*"
		}
		line += ";"
	}
	return strings.TrimSuffix(line, ";")
}

func (s *session) optsHASH(arg string) ftp.Reply {
	if arg = strings.TrimSpace(arg); arg != "" {
		a, ok := findAlgorithm(arg)
		if !ok {
			return ftp.NewReply(501, "That algorithm is not offered; FEAT lists them.")
		}
		s.hash = a.name
	}
	return ftp.NewReply(200, s.hash)
}

func (s *session) hashFile(arg string) ftp.Reply {
	a, _ := findAlgorithm(s.hash)
	start, end := s.pend.restart, int64(-1)
	if s.pend.end >= 0 {
		end = s.pend.end + 1
	}
	return s.startHash("HASH", a, s.resolve(arg), start, end, func(sum string, from, to int64) ftp.Reply {
		return ftp.Replyf(213, "%s %d-%d %s %s", a.name, from, max(to-1, from), sum, arg)
	})
}

// oldHash answers XCRC and its like. The path may stand in quotes; numbers
// behind it are the first byte and the one behind the last.
func (s *session) oldHash(a algorithm, arg string) ftp.Reply {
	name, start, end, ok := s.pathAndRange(arg)
	if !ok {
		return ftp.Replyf(501, "The syntax is: %s <path> [<first> [<end>]]", a.verb)
	}
	return s.startHash(a.verb, a, s.resolve(name), start, end, func(sum string, _, _ int64) ftp.Reply {
		return ftp.NewReply(250, strings.ToUpper(sum))
	})
}

// pathAndRange takes numbers off the end of arg, unless a file has that very name.
func (s *session) pathAndRange(arg string) (name string, start, end int64, ok bool) {
	if strings.HasPrefix(arg, `"`) {
		if i := strings.LastIndex(arg, `"`); i > 0 {
			start, end, ok = parseRange(strings.Fields(arg[i+1:]))
			return arg[1:i], start, end, ok
		}
	}
	if _, err := s.account.FS.Stat(s.resolve(arg)); err == nil {
		return arg, 0, -1, true
	}
	words := strings.Split(arg, " ")
	n := len(words)
	for n > 1 && len(words)-n < 2 {
		if _, err := ftp.ParseOffset(words[n-1]); err != nil {
			break
		}
		n--
	}
	start, end, ok = parseRange(words[n:])
	return strings.Join(words[:n], " "), start, end, ok
}

func parseRange(words []string) (start, end int64, ok bool) {
	end = -1
	for i, w := range words {
		n, err := ftp.ParseOffset(w)
		switch {
		case err != nil || i > 1:
			return 0, 0, false
		case i == 0:
			start = n
		default:
			end = n
		}
	}
	return start, end, end < 0 || start <= end
}

// startHash hashes beside the session: a large file takes a while, and ABOR
// must reach it.
func (s *session) startHash(verb string, a algorithm, p string, start, end int64, answer func(sum string, from, to int64) ftp.Reply) ftp.Reply {
	f, size, reply := s.openFile(p)
	if f == nil {
		return reply
	}
	if end < 0 || end > size {
		end = size
	}
	if start > end {
		_ = f.Close()
		return ftp.Replyf(554, "%s has only %d bytes.", p, size)
	}
	sum := ""
	return s.start(&job{
		cmd: ftp.Command{Verb: verb, Arg: p}, path: p, total: end - start,
		work: func(ctx context.Context, j *job) dtp.Result {
			h := a.new()
			err := hashRange(ctx, h, f, start, end, j)
			sum = hex.EncodeToString(h.Sum(nil))
			return dtp.Result{Bytes: j.moved.Load(), Err: err}
		},
		finish: func(res dtp.Result) ftp.Reply {
			_ = f.Close()
			switch {
			case res.Err == nil:
				return answer(sum, start, end)
			case s.ctx().Err() != nil, errors.Is(res.Err, errAborted):
				return ftp.Replyf(426, "Aborted after %d bytes.", res.Bytes)
			}
			return fileError(res.Err, p)
		},
	})
}

// hashRange reads in steps, so that it can be stopped.
func hashRange(ctx context.Context, h hash.Hash, f afero.File, start, end int64, j *job) error {
	if _, err := f.Seek(start, io.SeekStart); err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for left := end - start; left > 0; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := f.Read(buf[:min(left, int64(len(buf)))])
		h.Write(buf[:n])
		left -= int64(n)
		j.moved.Add(int64(n))
		if errors.Is(err, io.EOF) && left > 0 {
			return io.ErrUnexpectedEOF
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}
