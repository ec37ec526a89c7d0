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

// longestName is the maximum length of a file name in bytes.
const longestName = 255

// untagged is the tag in the name of a part whose version is not known.
const untagged = "00000000"

func randomTag() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// PartName returns a name for a partial file, in the directory of path. No other run and no other
// program uses the name, and IsPart recognises it.
func PartName(path string) string { return partName(path, randomTag()) }

// partName returns the name of the part of a file, in the same directory. Without a tag it is
// ".NAME.part". With a tag it is ".NAME.TAGCHECK.part", where CHECK is a checksum that no other
// program is likely to use. A NAME that is too long is cut, and a checksum makes it unique.
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

// nameCheck returns the checksum that marks the names of parts with a tag.
func nameCheck(name string) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte("miniftp part "+name)))
}

// partPattern matches a name that partName returns with a tag. Group 2 is the checksum of group 1.
var partPattern = regexp.MustCompile(`^(?s)(\..+\.[0-9a-f]{8})([0-9a-f]{8})\.part$`)

// IsPart reports whether name has the form that miniftp gives to partial files.
func IsPart(name string) bool {
	m := partPattern.FindStringSubmatch(name)
	return m != nil && m[2] == nameCheck(m[1])
}

// PartNames returns the names that Downloads with a Tag give to the partial file of path, in its
// directory.
func PartNames(path, tag string) []string {
	return []string{partName(path, tag), segmentsName(path, tag)}
}

// VersionTag returns a tag that identifies a version of a file, for the names of parts. With it a
// part of another version is not mistaken for this one, even on a server that does not let the part
// be read.
func VersionTag(size int64, modified time.Time) string {
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE(fmt.Appendf(nil, "%d %d", size, modified.UnixNano())))
}
