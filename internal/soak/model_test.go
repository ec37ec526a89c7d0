package soak_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"miniftp/ftp"
)

// piece is a sequence of bytes that is made from a seed.
type piece struct {
	seed uint64
	size int64
}

// content is what a file has: pieces, one after the other.
type content struct{ pieces []piece }

func (c content) size() (n int64) {
	for _, p := range c.pieces {
		n += p.size
	}
	return n
}

func (c content) with(p piece) content { return content{append(slices.Clone(c.pieces), p)} }

// reader returns a reader of the content from an offset.
func (c content) reader(offset int64) *source {
	var all []io.Reader
	for _, p := range c.pieces {
		var seed [32]byte
		binary.LittleEndian.PutUint64(seed[:], p.seed)
		all = append(all, io.LimitReader(rand.NewChaCha8(seed), p.size))
	}
	s := &source{r: io.MultiReader(all...), left: c.size() - offset}
	_, _ = io.CopyN(io.Discard, s.r, offset)
	return s
}

func (c content) sum() [32]byte {
	h := sha256.New()
	_, _ = io.Copy(h, c.reader(0).r)
	return [32]byte(h.Sum(nil))
}

// source is a reader that knows whether it was read to its end.
type source struct {
	r    io.Reader
	left int64
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.left -= int64(n)
	return n, err
}

func (s *source) sent() bool { return s.left <= 0 }

// state is a possible state of a file.
type state struct {
	exists bool
	size   int64
	sum    [32]byte
}

var absent = state{}

func (c content) state() state { return state{true, c.size(), c.sum()} }

func (s state) String() string {
	if !s.exists {
		return "absent"
	}
	return fmt.Sprintf("%d bytes, %x", s.size, s.sum[:4])
}

// file is the model of a file: the states that it may have. There is more than one after an operation whose reply
// was lost.
type file struct {
	name    string
	may     []state
	now     content   // if there is only one state, and it exists
	unsure  time.Time // until when an operation that was cut may still have an effect in the store
	retired bool      // an upload to it was given up, so it may have parts that would be resumed
	twin    *file     // the other name of a rename whose reply was lost
	journal []string
}

func newFile(name string) *file { return &file{name: name, may: []state{absent}} }

// known reports whether the file certainly exists with one content.
func (f *file) known() bool {
	return !f.retired && len(f.may) == 1 && f.may[0].exists && time.Now().After(f.unsure)
}

// is sets the only state.
func (f *file) is(s state, c content) { f.may, f.now = []state{s}, c }

// maybe adds a state.
func (f *file) maybe(s state) {
	if !slices.Contains(f.may, s) {
		f.may = append(f.may, s)
	}
	f.unsure = time.Now().Add(unsureFor)
}

func (f *file) allows(s state) bool { return slices.Contains(f.may, s) }

func (f *file) note(format string, args ...any) {
	f.journal = append(f.journal, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// story describes the file for a failure.
func (f *file) story() string {
	return fmt.Sprintf("%s may be %v\n      %s", f.name, f.may, strings.Join(f.journal, "\n      "))
}

const (
	// unsureFor is how long a request of a killed node may still be running in the store.
	unsureFor = 15 * time.Second
	// settleFor is how long a client waits after a lost reply before it asks what has become of it.
	settleFor = 3 * time.Second
)

// refusedWith returns the reply if the server has decided about a command. A server that stops (421) has not.
func refusedWith(err error) (ftp.Reply, bool) {
	var refused *ftp.Error
	if errors.As(err, &refused) && refused.Code >= 400 && refused.Code != 421 {
		return refused.Reply, true
	}
	return ftp.Reply{}, false
}

// someSize returns the size of a file: most are small, some have several parts of 8 MiB.
func someSize() int64 {
	span := func(lo, hi int64) int64 { return lo + rand.Int64N(hi-lo) }
	switch n := rand.IntN(100); {
	case n < 70:
		return span(1<<10, 64<<10)
	case n < 93:
		return span(64<<10, 1<<20)
	case n < 98:
		return span(1<<20, 9<<20)
	default:
		return span(9<<20, 40<<20)
	}
}

func somePiece() piece { return piece{rand.Uint64(), someSize()} }
