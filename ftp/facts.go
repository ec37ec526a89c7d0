package ftp

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Facts is a set of MLSx facts (RFC 3659 §7.5).
type Facts uint16

// The facts that AppendMLSx can write, in the order in which it writes them.
const (
	FactType Facts = 1 << iota
	FactSize
	FactModify
	FactPerm
	FactUnique
	FactMode
	FactOwner
	FactGroup

	AllFacts = 1<<iota - 1
)

var factNames = [...]string{
	"type", "size", "modify", "perm", "unique", "UNIX.mode", "UNIX.owner", "UNIX.group",
}

// ParseFacts parses the argument of OPTS MLST, "type;size;". Unknown names are
// ignored, as RFC 3659 §7.9 requires.
func ParseFacts(opts string) Facts {
	var f Facts
	for opts != "" {
		var name string
		name, opts, _ = strings.Cut(opts, ";")
		for i, known := range factNames {
			if strings.EqualFold(strings.Trim(name, " "), known) {
				f |= 1 << i
			}
		}
	}
	return f
}

// String returns the set as the reply to OPTS MLST shows it, "type;size;".
func (f Facts) String() string {
	var b strings.Builder
	for i, name := range factNames {
		if f&(1<<i) != 0 {
			b.WriteString(name + ";")
		}
	}
	return b.String()
}

// Feature returns the parameter of MLST in the reply to FEAT: all supported
// facts, with a '*' after those in the set (RFC 3659 §7.8).
func (f Facts) Feature() string {
	var b strings.Builder
	for i, name := range factNames {
		b.WriteString(name)
		if f&(1<<i) != 0 {
			b.WriteByte('*')
		}
		b.WriteByte(';')
	}
	return b.String()
}

// ParseMLSx parses one entry of MLSD or MLST, "type=file;size=3; name" (RFC 3659
// §7.2). The name is everything after the first blank, byte for byte. ParseMLSx
// tolerates blanks or "250-" before the facts, as in MLST, a missing last ';', and
// carriage returns at the end. A fact whose value is not valid is treated as
// missing. An entry without a name is refused.
func ParseMLSx(line string) (Entry, error) {
	e := Entry{Size: -1}
	facts, name, ok := splitMLSx(strings.TrimRight(line, "\r"))
	if !ok || name == "" {
		return e, fmt.Errorf("%w: %q is not an MLSx entry", ErrSyntax, clipText(line))
	}
	e.Name = name
	for facts != "" {
		var fact string
		fact, facts, _ = strings.Cut(facts, ";")
		if fact == "" {
			continue
		}
		key, value, ok := strings.Cut(fact, "=")
		if !ok {
			return Entry{Size: -1}, fmt.Errorf("%w: %q is not an MLSx entry", ErrSyntax, clipText(line))
		}
		e.takeFact(key, value)
	}
	return e, nil
}

// splitMLSx splits an entry into its facts and its name.
func splitMLSx(line string) (facts, name string, ok bool) {
	if rest, found := strings.CutPrefix(line, "250-"); found {
		line = rest
	}
	if line != "" && line[0] == ' ' {
		facts, name, ok = strings.Cut(strings.TrimLeft(line, " "), " ")
		if !ok || !strings.HasSuffix(facts, ";") || !strings.Contains(facts, "=") {
			return "", line[1:], true // an entry without facts
		}
		return facts, name, true
	}
	facts, name, ok = strings.Cut(line, " ")
	if ok && !strings.HasSuffix(facts, ";") && linkFact(facts) {
		if f, n, found := strings.Cut(line, "; "); found {
			return f, n, true // a blank inside a link's target
		}
	}
	return facts, name, ok
}

// linkFact reports whether the last of the facts is a link with its target.
func linkFact(facts string) bool {
	const link = "type=os.unix=slink:"
	last := facts[strings.LastIndexByte(facts, ';')+1:]
	return len(last) >= len(link) && strings.EqualFold(last[:len(link)], link)
}

func (e *Entry) takeFact(key, value string) {
	switch strings.ToLower(key) {
	case "type":
		e.Type, e.Target = parseFactType(value)
	case "size", "sizd": // some servers send the size of a directory as sizd
		if n, err := ParseOffset(value); err == nil {
			e.Size = n
		}
	case "modify":
		if t, precise, err := ParseTime(value); err == nil {
			e.Modified, e.Precise = t, precise
		}
	case "perm":
		e.Perm = value
	case "unique":
		e.Unique = value
	case "unix.mode":
		if n, err := strconv.ParseUint(value, 8, 32); err == nil {
			e.Mode, e.HasMode = unixMode(uint32(n)), true
		}
	case "unix.ownername":
		e.Owner = value
	case "unix.groupname":
		e.Group = value
	case "unix.owner", "unix.uid":
		if e.Owner == "" {
			e.Owner = value
		}
	case "unix.group", "unix.gid":
		if e.Group == "" {
			e.Group = value
		}
	}
}

func parseFactType(value string) (t EntryType, target string) {
	switch strings.ToLower(value) {
	case "file":
		return FileEntry, ""
	case "dir":
		return DirEntry, ""
	case "cdir":
		return CDirEntry, ""
	case "pdir":
		return PDirEntry, ""
	}
	kind, target, _ := strings.Cut(value, ":")
	switch strings.ToLower(kind) {
	case "os.unix=slink", "os.unix=symlink":
		return LinkEntry, target
	}
	return OtherEntry, ""
}

// unixMode returns the fs.FileMode for the permission bits of stat(2).
func unixMode(n uint32) fs.FileMode {
	m := fs.FileMode(n & 0o777)
	for i, bit := range [...]fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if n&(0o1000<<i) != 0 {
			m |= bit
		}
	}
	return m
}

func modeBits(m fs.FileMode) uint32 {
	n := uint32(m & 0o777)
	for i, bit := range [...]fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if m&bit != 0 {
			n |= 0o1000 << i
		}
	}
	return n
}

// AppendMLSx appends one entry of MLSD to b: the facts in f that e holds, a blank
// and the name, without a line ending (RFC 3659 §7.2). It does not allocate if b
// has room. If the name contains a CR, LF or NUL, which no line can hold, b is
// returned unchanged.
func AppendMLSx(b []byte, e *Entry, f Facts) []byte {
	if e.Name == "" || hasLineBreak(e.Name) {
		return b
	}
	if f&FactType != 0 {
		b = append(appendFactType(append(b, "type="...), e), ';')
	}
	if f&FactSize != 0 && e.Size >= 0 && !e.IsDir() {
		b = append(strconv.AppendInt(append(b, "size="...), e.Size, 10), ';')
	}
	if f&FactModify != 0 && !e.Modified.IsZero() {
		b = append(appendTime(append(b, "modify="...), e.Modified), ';')
	}
	if f&FactPerm != 0 { // empty means that this user may do nothing
		b = append(append(append(b, "perm="...), e.Perm...), ';')
	}
	if f&FactUnique != 0 {
		b = appendFact(b, "unique=", e.Unique)
	}
	if f&FactMode != 0 && e.HasMode {
		n := modeBits(e.Mode)
		b = append(b, "UNIX.mode=0"...)
		if n > 0o777 {
			b = append(b, '0'+byte(n>>9))
		}
		b = append(b, '0'+byte(n>>6&7), '0'+byte(n>>3&7), '0'+byte(n&7), ';')
	}
	if f&FactOwner != 0 {
		b = appendFact(b, "UNIX.owner=", e.Owner)
	}
	if f&FactGroup != 0 {
		b = appendFact(b, "UNIX.group=", e.Group)
	}
	return append(append(b, ' '), e.Name...)
}

func appendFactType(b []byte, e *Entry) []byte {
	switch e.Type {
	case FileEntry:
		return append(b, "file"...)
	case DirEntry:
		return append(b, "dir"...)
	case CDirEntry:
		return append(b, "cdir"...)
	case PDirEntry:
		return append(b, "pdir"...)
	case LinkEntry:
		b = append(b, "OS.unix=slink"...)
		if e.Target != "" && fitsFact(e.Target) {
			b = append(append(b, ':'), e.Target...)
		}
		return b
	}
	return append(b, "OS.unix=other"...)
}

// appendFact appends a fact unless its value is unknown, or contains a character
// that would end the fact early.
func appendFact(b []byte, name, value string) []byte {
	if value == "" || !fitsFact(value) {
		return b
	}
	return append(append(append(b, name...), value...), ';')
}

func fitsFact(value string) bool {
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c == ';' || c == 0x7f {
			return false
		}
	}
	return true
}
