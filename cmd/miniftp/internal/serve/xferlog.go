package serve

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/ftp"
)

// xferLine is the line of wu-ftpd's xferlog about a transfer of a file, "" for a
// listing: the time, its seconds, the address, bytes, name, type (a, b), what was done
// to the file (_), direction (o, i), access (a, r), user, service, how and as whom the
// client's machine names him (0 *: it doesn't), and whether it is complete (c, i).
func xferLine(e ftp.Event, s *seen, t ftp.TransferDone) string {
	kind, way, access, whole := "b", "o", "r", "c"
	switch t.Verb {
	case "RETR":
	case "STOR", "APPE", "STOU":
		way = "i"
	default:
		return ""
	}
	if s.ascii {
		kind = "a"
	}
	if connect.IsAnonymous(s.user) {
		access = "a"
	}
	if t.Err != nil {
		whole = "i"
	}
	return fmt.Sprintf("%s %d %s %d %s %s _ %s %s %s ftp 0 * %s\n",
		e.At.Local().Format(time.ANSIC), int64(max(1, math.Round(t.Took.Seconds()))), e.Control.Remote.Addr().WithZone(""),
		t.Bytes, xferWord(t.Path), kind, way, access, xferWord(s.user), whole)
}

// xferWord is a name as one word of the line: as wu-ftpd does, what would end it is "_".
func xferWord(s string) string {
	return cmp.Or(strings.ReplaceAll(strings.ReplaceAll(plain(s), " ", "_"), "\u00a0", "_"), "_")
}
