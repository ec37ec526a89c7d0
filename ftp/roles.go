package ftp

import "fmt"

// Side says which protocol interpreter one is (RFC 959 §2.3). It never changes
// during a session, whoever listens and whoever dials.
type Side uint8

// The two ends of a control connection.
const (
	UserPI   Side = iota // the client: it sends commands
	ServerPI             // the server: it sends replies
)

func (s Side) String() string { return pick(s, "user", "server") }

// DataMode says how the data connection comes about (RFC 959 §3.2). The zero
// value is Passive, the mode that works through most firewalls.
type DataMode uint8

// The two data modes.
const (
	Passive DataMode = iota // PASV, EPSV: the server listens a second time
	Active                  // PORT, EPRT: the client listens and the server calls back
)

func (m DataMode) String() string { return pick(m, "passive", "active") }

// Stance says what one end does to open a data connection.
type Stance uint8

// The two stances. On every data connection one end has each.
const (
	Listens Stance = iota
	Dials
)

func (s Stance) String() string { return pick(s, "listens", "dials") }

// Stance is the reversal FTP is famous for: passive or active flips who listens
// and who dials, and nothing else. The sides, the direction of the bytes and
// the TLS roles stay as they are.
func (s Side) Stance(m DataMode) Stance {
	if (s == ServerPI) == (m == Passive) {
		return Listens
	}
	return Dials
}

// Direction says which way the bytes of a transfer go.
type Direction uint8

// The two directions, named after what the user asks for.
const (
	Retrieve Direction = iota // from the server to the user: RETR, LIST, …
	Store                     // from the user to the server: STOR, APPE, STOU
)

func (d Direction) String() string { return pick(d, "retrieve", "store") }

// Sender is the side whose bytes they are.
func (d Direction) Sender() Side {
	if d == Retrieve {
		return ServerPI
	}
	return UserPI
}

// Type is the representation type (RFC 959 §3.1.1). The zero value is ASCII,
// as the protocol's default is.
type Type uint8

// The representation types.
const (
	ASCII  Type = iota // A: lines end in CRLF on the wire
	Image              // I: bytes as they are
	Local8             // L 8: bytes as they are
	EBCDIC             // E: known, never spoken
)

func (t Type) String() string { return pick(t, "A", "I", "L 8", "E") }

// Structure is the file structure (RFC 959 §3.1.2).
type Structure uint8

// The file structures.
const (
	FileStructure Structure = iota
	RecordStructure
	PageStructure
)

func (s Structure) String() string { return pick(s, "F", "R", "P") }

// TransferMode is how a file's bytes are laid on the data connection (RFC 959 §3.4).
type TransferMode uint8

// The transfer modes.
const (
	Stream TransferMode = iota
	Block
	Compressed
	Deflate // MODE Z
)

func (m TransferMode) String() string { return pick(m, "S", "B", "C", "Z") }

// Protection is the data channel protection level (RFC 2228 §3, RFC 4217 §9).
type Protection uint8

// The protection levels that FTP over TLS knows.
const (
	Clear Protection = iota
	Private
)

func (p Protection) String() string { return pick(p, "C", "P") }

// pick names the i-th of a small enumeration.
func pick[T ~uint8](i T, names ...string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%d?", i)
}
