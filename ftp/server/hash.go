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
	"sync"
	"sync/atomic"

	"github.com/spf13/afero"
	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server/internal/guard"
)

func hashRows() []row {
	rows := []row{
		{verb: "HASH", perm: PermRead, file: true, syntax: pathArg, rfc: "draft-bryan-ftpext-hash", feat: hashFeature, help: "hash a file, or the range of RANG", run: (*session).hashFile},
	}
	for _, a := range algorithms {
		rows = append(rows, row{
			verb: a.verb, perm: PermRead, late: true, file: true, syntax: pathArg.shape("<path> [<first> [<end>]]"), feat: feature(a.verb),
			help: "hash a file by " + a.name,
			run:  func(s *session, arg string) ftp.Reply { return s.oldHash(a, arg) },
		})
	}
	return rows
}

// algorithm is one way to hash a file. To add one, add a line to algorithms.
type algorithm struct {
	name string // for HASH
	verb string // the older command for it
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
			return ftp.NewReply(501, "That algorithm is not supported; FEAT lists the supported ones.")
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
	return s.startHash("HASH", a, s.meant(arg), start, end, func(sum string, from, to int64) ftp.Reply {
		return ftp.Replyf(213, "%s %d-%d %s %s", a.name, from, max(to-1, from), sum, arg)
	})
}

// oldHash answers XCRC and similar commands. The path may be in quotes. It may be followed by the first byte
// and the byte after the last.
func (s *session) oldHash(a algorithm, arg string) ftp.Reply {
	name, start, end, ok := s.pathAndRange(arg)
	if !ok {
		return ftp.Replyf(501, "The syntax is: %s <path> [<first> [<end>]]", a.verb)
	}
	if no, ok := s.mayUse(a.verb, PermRead, s.meant(name)); !ok {
		return no
	}
	return s.startHash(a.verb, a, s.meant(name), start, end, func(sum string, _, _ int64) ftp.Reply {
		return ftp.NewReply(250, strings.ToUpper(sum))
	})
}

// pathAndRange splits the numbers from the end of arg, unless a file has arg as its name.
func (s *session) pathAndRange(arg string) (name string, start, end int64, ok bool) {
	if strings.HasPrefix(arg, `"`) {
		if i := strings.LastIndex(arg, `"`); i > 0 {
			start, end, ok = parseRange(strings.Fields(arg[i+1:]))
			return arg[1:i], start, end, ok
		}
	}
	if _, err := s.account.FS.Stat(s.meant(arg)); err == nil {
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

// parseRange parses the first byte and the byte after the last. Without the second, end is -1.
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

// Bounds on hashing: one short command can cause a long computation.
const (
	hashBuffer = 256 << 10
	hashSlice  = 8 << 20 // bytes between two checks whether others wait for the slot
)

var hashBuffers = sync.Pool{New: func() any { b := make([]byte, hashBuffer); return &b }}

// errHashTime is the cause of a hash that was stopped after Options.HashTimeout.
var errHashTime = errors.New("the hash took too long")

// startHash hashes a file in a task, because that may take long and ABOR must be able to stop it.
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
	work := &hashing{slots: s.srv.hashes, rate: s.set.hashRate, keys: s.hashKeys(), file: f}
	return s.start(&task{
		cmd: ftp.Command{Verb: verb, Arg: p}, path: p, total: end - start, afterHangUp: lastHash,
		work: func(ctx context.Context, j *task) dtp.Result {
			if s.set.HashTimeout < NoTimeout {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, s.set.HashTimeout, errHashTime)
				defer cancel()
			}
			h := a.new()
			err := work.run(ctx, h, start, end, &j.moved)
			sum = hex.EncodeToString(h.Sum(nil))
			return dtp.Result{Bytes: j.moved.Load(), Err: err}
		},
		finish: func(res dtp.Result) ftp.Reply {
			_ = f.Close()
			switch {
			case res.Err == nil:
				return answer(sum, start, end)
			case errors.Is(res.Err, errHashTime):
				s.emitRefused("a hash took too long", ftp.ReasonHashTimeout)
				return ftp.Replyf(550, "%s: the hash was stopped after %v and %d bytes: request a part of the file.", p, s.set.HashTimeout, res.Bytes)
			case errors.Is(res.Err, errHungUp): // don't compute the hashes that follow
				s.dead = errHungUp
				return ftp.Replyf(426, "Aborted after %d bytes.", res.Bytes)
			case s.ctx().Err() != nil, errors.Is(res.Err, errAborted):
				return ftp.Replyf(426, "Aborted after %d bytes.", res.Bytes)
			}
			return fileError(res.Err, p)
		},
	})
}

// hashKeys returns the keys between which the queue for hashes is fair: account and address.
func (s *session) hashKeys() []any {
	type account string
	return []any{account(s.account.Name), guard.Origin(s.control.Remote.Addr())}
}

// hashing is the computation of one hash. It holds a slot while it computes, and gives it to others that wait
// after each slice.
type hashing struct {
	slots *guard.Queue
	rate  *rate.Limiter // of all hashes; may be nil
	keys  []any
	file  afero.File
}

// run hashes the bytes from start up to end. moved counts those that are done.
func (w *hashing) run(ctx context.Context, h hash.Hash, start, end int64, moved *atomic.Int64) error {
	if _, err := w.file.Seek(start, io.SeekStart); err != nil {
		return err
	}
	for left := end - start; left > 0; {
		n, err := w.slice(ctx, h, left, moved)
		if left -= n; err != nil {
			return err
		}
	}
	return nil
}

// slice acquires a slot and hashes until all is done, or until a slice is done and others wait. It reads in
// small steps so that it can be stopped.
func (w *hashing) slice(ctx context.Context, h hash.Hash, left int64, moved *atomic.Int64) (did int64, err error) {
	if err := w.slots.Acquire(ctx, false, w.keys...); err != nil {
		return 0, err
	}
	defer w.slots.Release()               // deferred, because the storage may panic
	pooled := hashBuffers.Get().(*[]byte) // at most one per slot
	defer hashBuffers.Put(pooled)
	buf := *pooled
	for did < left && (did < hashSlice || !w.slots.Contended()) {
		step := min(left-did, int64(len(buf)))
		if w.rate != nil {
			step = min(step, int64(w.rate.Burst()))
			if err := w.rate.WaitN(ctx, int(step)); err != nil {
				return did, context.Cause(waited(ctx))
			}
		}
		if ctx.Err() != nil {
			return did, context.Cause(ctx)
		}
		n, err := w.file.Read(buf[:step])
		h.Write(buf[:n])
		did += int64(n)
		moved.Add(int64(n))
		if errors.Is(err, io.EOF) && did < left {
			return did, io.ErrUnexpectedEOF
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return did, err
		}
	}
	return did, nil
}

// waited waits until ctx has ended and returns it. It is called after a failed WaitN: a limiter fails as soon as it
// knows that its wait would exceed the deadline, but ctx has no cause before it has ended.
func waited(ctx context.Context) context.Context {
	<-ctx.Done()
	return ctx
}
