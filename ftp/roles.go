package ftp

import "fmt"

// Side is one of the two protocol interpreters, client or server (RFC 959 §2.3).
// It does not depend on which of them listens for a data connection.
type Side uint8

// The two ends of a control connection.
const (
	UserPI   Side = iota // the client, which sends commands
	ServerPI             // the server, which sends replies
)

func (s Side) String() string { return pick(s, "user", "server") }

// DataMode shows which side opens the data connection (RFC 959 §3.2). The zero
// value is Passive, the mode that works through most firewalls.
type DataMode uint8

// The two data modes.
const (
	Passive DataMode = iota // PASV, EPSV: the server listens on a second port and the client dials
	Active                  // PORT, EPRT: the client listens and the server dials
)

func (m DataMode) String() string { return pick(m, "passive", "active") }

// Stance shows what one side does to open a data connection: it listens or it dials.
type Stance uint8

// The two stances. For every data connection, one side listens and the other dials.
const (
	Listens Stance = iota
	Dials
)

func (s Stance) String() string { return pick(s, "listens", "dials") }

// Stance returns whether side s listens or dials in mode m. Nothing else depends on
// the mode: the direction of a transfer and the TLS roles are the same in both.
func (s Side) Stance(m DataMode) Stance {
	if (s == ServerPI) == (m == Passive) {
		return Listens
	}
	return Dials
}

// Direction is the direction of a transfer.
type Direction uint8

// The two directions, as seen from the client.
const (
	Retrieve Direction = iota // from the server to the client: RETR, LIST, …
	Store                     // from the client to the server: STOR, APPE, STOU
)

func (d Direction) String() string { return pick(d, "retrieve", "store") }

// Sender returns the side that sends the data.
func (d Direction) Sender() Side {
	if d == Retrieve {
		return ServerPI
	}
	return UserPI
}

// Type is the representation type (RFC 959 §3.1.1). The zero value is ASCII,
// which is also the protocol's default.
type Type uint8

// The representation types.
const (
	ASCII  Type = iota // A: lines end in CRLF on the wire
	Image              // I: bytes as they are
	Local8             // L 8: bytes as they are
	EBCDIC             // E: recognized but not supported
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

// TransferMode is the format of a file on the data connection (RFC 959 §3.4).
type TransferMode uint8

// The transfer modes.
const (
	Stream TransferMode = iota
	Block
	Compressed
	Deflate // MODE Z, which no RFC defines
)

func (m TransferMode) String() string { return pick(m, "S", "B", "C", "Z") }

// Protection is the data channel protection level (RFC 2228 §3, RFC 4217 §9).
type Protection uint8

// The protection levels of FTP over TLS.
const (
	Clear Protection = iota
	Private
)

func (p Protection) String() string { return pick(p, "C", "P") }

// pick returns the i-th name, or a number for a value that has none.
func pick[T ~uint8](i T, names ...string) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%d?", i)
}
