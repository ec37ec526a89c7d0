package serve

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/sessions"
	"miniftp/ftp"
)

// xferLine returns the line about a transfer in the format of wu-ftpd's xferlog, or "" for a listing. Its
// fields are: time, seconds, address, bytes, name, type (a or b), special action (_ for none), direction
// (o or i), access (a for anonymous, r otherwise), user, service, authentication method and user ID (0 and
// * for none), and whether the transfer is complete (c or i).
func xferLine(e ftp.Event, s *sessions.Session, t ftp.TransferDone) string {
	kind, way, access, whole := "b", "o", "r", "c"
	switch t.Verb {
	case "RETR":
	case "STOR", "APPE", "STOU":
		way = "i"
	default:
		return ""
	}
	if s.ASCII {
		kind = "a"
	}
	if connect.IsAnonymous(s.User) {
		access = "a"
	}
	if t.Err != nil {
		whole = "i"
	}
	return fmt.Sprintf("%s %d %s %d %s %s _ %s %s %s ftp 0 * %s\n",
		e.At.Local().Format(time.ANSIC), int64(max(1, math.Round(t.Took.Seconds()))), e.Control.Remote.Addr().WithZone(""),
		t.Bytes, xferWord(t.Path), kind, way, access, xferWord(s.User), whole)
}

// xferWord returns a name as one word of the line. Like wu-ftpd, it replaces blanks by "_".
func xferWord(s string) string {
	return cmp.Or(strings.ReplaceAll(strings.ReplaceAll(clean(s), " ", "_"), "\u00a0", "_"), "_")
}
