package client

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// longestName is how many bytes the name of a file may have.
const longestName = 255

// untagged stands in the name of a part that tells no version.
const untagged = "00000000"

func randomTag() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// PartName returns a name in the directory of path for a file that is not whole yet. No other
// run and no other program uses it, and IsPart knows it.
func PartName(path string) string { return partName(path, randomTag()) }

// partName returns the name of the part of a file, in the same directory: ".NAME.part", or
// with a tag ".NAME.TAG" and a check over that, which no other program puts there. A name
// that leaves no room for more is cut, and told apart by a sum.
func partName(final, tag string) string {
	dir, name := filepath.Split(final)
	const suffix = len(".") + 2*len(untagged) + len(".part")
	if len(".")+len(name)+suffix > longestName {
		sum := crc32.ChecksumIEEE([]byte(name))
		name = fmt.Sprintf("%s~%08x", strings.ToValidUTF8(name[:min(len(name), longestName-suffix-10)], ""), sum)
	}
	if tag == "" {
		return dir + "." + name + ".part"
	}
	name = "." + name + "." + tag
	return dir + name + nameCheck(name) + ".part"
}

// nameCheck is in the names of parts that can't be taken for other files.
func nameCheck(name string) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte("miniftp part "+name)))
}

// partPattern is the form of a name that partName returns with a tag. Group 1 is what the
// check in group 2 is over.
var partPattern = regexp.MustCompile(`^(?s)(\..+\.[0-9a-f]{8})([0-9a-f]{8})\.part$`)

// IsPart reports whether miniftp made a file of that name for one that is not whole.
func IsPart(name string) bool {
	m := partPattern.FindStringSubmatch(name)
	return m != nil && m[2] == nameCheck(m[1])
}

// PartNames returns the names that Downloads with a Tag give to what is not whole of a file, in its
// directory.
func PartNames(path, tag string) []string {
	return []string{partName(path, tag), segmentsName(path, tag)}
}

// VersionTag returns a tag of a version of a file, for names of parts: what is left of another
// version can't be taken for it, even where it may not be read.
func VersionTag(size int64, modified time.Time) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(fmt.Appendf(nil, "%d %d", size, modified.UnixNano())))
}
