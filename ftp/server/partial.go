package server

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/afero"
)

// partialName is the hidden name of a partial upload: a file whose upload is running, or was interrupted and
// can be resumed. The name itself contains what the server must still know after it was killed: the final name,
// whose upload it is, and which version of the file it was to replace.
//
//	.NAME.OWNER+TARGET+CHECK.upload            interrupted
//	.NAME.OWNER+TARGET+RANDOM+CHECK.upload     running
//
// Each value is eight hexadecimal digits; the + is not part of the name. CHECK is a hash of the others. It
// tells these names from any that a user has chosen, so that only files of this server are swept, resumed or
// hidden. Clients cannot use such names (553).
type partialName struct {
	base   string // the final name, shortened if there is no room for it
	owner  uint32 // hash of Account.Owner
	target uint32 // fingerprint of the file to be replaced; 0: there was none
	random uint32 // makes the name of a running upload unique; 0: interrupted
}

const (
	partialSuffix = ".upload"
	longestName   = 255 // bytes; the limit of most filesystems
	partialRoom   = longestName - len("..") - 4*8 - len(partialSuffix)
)

var partialPattern = regexp.MustCompile(`(?s)^\.(.+)\.([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{8})?([0-9a-f]{8})\.upload$`)

// partialOf returns the name of an interrupted upload to base by owner. target is the file at the final name
// when the upload began; nil if there was none.
func partialOf(base string, owner uint32, target fs.FileInfo) partialName {
	if len(base) > partialRoom {
		const mark = "~01234567"
		end := partialRoom - len(mark)
		for end > 0 && !utf8.RuneStart(base[end]) { // some filesystems accept only valid UTF-8
			end--
		}
		base = fmt.Sprintf("%s~%08x", base[:end], hash32(base))
	}
	return partialName{base: base, owner: owner, target: fingerprint(target)}
}

// running returns the name of a new running upload with the values of n.
func (n partialName) running() partialName {
	n.random = 1 + rand.Uint32N(1<<32-1)
	return n
}

// interrupted returns the name that n gets when its upload is interrupted.
func (n partialName) interrupted() partialName {
	n.random = 0
	return n
}

func (n partialName) String() string {
	b := make([]byte, 0, longestName)
	b = append(append(append(b, '.'), n.base...), '.')
	b = appendHex32(appendHex32(b, n.owner), n.target)
	if n.random != 0 {
		b = appendHex32(b, n.random)
	}
	return string(append(appendHex32(b, n.check()), partialSuffix...))
}

func (n partialName) check() uint32 {
	b := make([]byte, 0, 2*longestName)
	b = append(append(append(b, "miniftp partial upload\x00"...), n.base...), 0)
	return hash32(appendHex32(appendHex32(appendHex32(b, n.owner), n.target), n.random))
}

// parsePartial parses the last component of a path. It returns false for a name that this server did not make.
func parsePartial(base string) (partialName, bool) {
	if !strings.HasSuffix(base, partialSuffix) || !strings.HasPrefix(base, ".") { // the usual case
		return partialName{}, false
	}
	m := partialPattern.FindStringSubmatch(base)
	if m == nil {
		return partialName{}, false
	}
	n := partialName{base: m[1], owner: hex32(m[2]), target: hex32(m[3]), random: hex32(m[4])}
	return n, n.check() == hex32(m[5]) && (m[4] == "" || n.random != 0)
}

// isPartial reports whether base is the name of a partial upload.
func isPartial(base string) bool {
	_, ok := parsePartial(base)
	return ok
}

// isReservedName reports whether clients can't use base. On systems whose filesystems mostly ignore case, this
// is every name of that form, in any case and with any check value, because it could lead to the file of a
// partial upload.
func isReservedName(base string) bool {
	return isPartial(base) || foldsCase && partialPattern.MatchString(strings.ToLower(base))
}

const foldsCase = runtime.GOOS == "windows" || runtime.GOOS == "darwin"

func hex32(s string) uint32 {
	n, _ := strconv.ParseUint(s, 16, 32)
	return uint32(n)
}

func appendHex32(b []byte, n uint32) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[n>>shift&15])
	}
	return b
}

// hash32 returns the FNV-1a hash of s.
func hash32[T string | []byte](s T) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

// fingerprint identifies a version of a file by its inode, if it has one, its size and its time. It is 0 only
// for nil.
func fingerprint(fi fs.FileInfo) uint32 {
	if fi == nil {
		return 0
	}
	id, _ := sysOf(fi)
	b := append(strconv.AppendUint(make([]byte, 0, 80), id.dev, 16), ' ')
	b = append(strconv.AppendUint(b, id.ino, 16), ' ')
	b = append(strconv.AppendInt(b, fi.Size(), 16), ' ')
	return max(1, hash32(strconv.AppendInt(b, fi.ModTime().UnixNano(), 16)))
}

// ownerHash returns the hash of an Account.Owner for a partialName.
func ownerHash(owner string) uint32 { return hash32("owner\x00" + owner) }

// fits reports whether n is a partial upload to base by owner, to any version of the file.
func (n partialName) fits(base string, owner uint32) bool {
	return n.owner == owner && n.base == partialOf(base, owner, nil).base
}

// hasPartials reports whether dir has an interrupted upload to base by owner, to a version of the file that
// match accepts. A file with a running name that is not in running counts, too: a killed server has left it.
// hasPartials stops after partialScan names.
func hasPartials(fsys afero.Fs, dir, base string, owner uint32, running *uploads, match func(partialName) bool) bool {
	d, err := fsys.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	for seen := 0; seen < partialScan; {
		batch, err := readTyped(d)
		for _, e := range batch {
			if n, ok := parsePartial(e.name); ok && n.fits(base, owner) && match(n) && !running.isRunning(e.name) {
				return true
			}
		}
		if seen += len(batch); err != nil || len(batch) == 0 {
			return false
		}
	}
	return false
}

const partialScan = 100_000

// sibling returns the path of n in the directory of p.
func (n partialName) sibling(p string) string { return path.Join(path.Dir(p), n.String()) }
