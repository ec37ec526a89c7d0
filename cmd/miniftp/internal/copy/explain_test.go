package copy

import (
	"strings"
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/ftp"
)

// TestCopyLadder draws a copy in which both servers send the preliminary reply, one of them several
// times as some do in a long transfer. Then it draws a second copy over the same connections.
func TestCopyLadder(t *testing.T) {
	var out strings.Builder
	l := newLadder(&out, explain.NewPen(90, false, false))
	from, to := side{l, true}, side{l, false}
	tell := func(s side, what ...ftp.Happening) {
		for _, h := range what {
			s.Observe(ftp.Event{Control: new(ftp.Control), What: h})
		}
	}
	given := func(verb, arg string) ftp.Happening {
		return ftp.CommandGiven{Command: ftp.Command{Verb: verb, Arg: arg}}
	}
	said := func(verb string, code ftp.Code, text string) ftp.Happening {
		return ftp.ReplyGiven{Verb: verb, Reply: ftp.Reply{Code: code, Lines: []string{text}}}
	}
	for range 2 {
		tell(from, given("EPSV", ""), said("EPSV", 229, "ok (|||2000|)"))
		tell(to, given("PORT", "127,0,0,1,7,208"), said("PORT", 200, "ok"), given("STOR", "b"), said("STOR", 150, "begins"))
		tell(from, given("RETR", "a"), said("RETR", 125, "begins"), said("RETR", 150, "still sending"), said("RETR", 226, "done"))
		tell(to, said("STOR", 150, "still receiving"), said("STOR", 226, "done"))
		done := ftp.TransferDone{Bytes: 1000, Took: time.Second, Mode: ftp.Passive}
		tell(from, done)
		tell(to, done)
	}
	want := strings.Repeat(strings.TrimPrefix(`
                              ◀──────── EPSV
         229 |||2000|         ────────▶
                                        PORT :2000       ────────▶ 200
                                        STOR b           ────────▶
                                                         ◀──────── 150
                              ◀──────── RETR a
         125                  ────────▶
data     listens :2000        ═════════ 1.0 kB in 1.0 s ═════════▶ dials
                              the data goes from server to server, not through the client
         226                  ────────▶
                                                         ◀──────── 226
`, "\n"), 2)
	if got := out.String(); got != want {
		t.Errorf("drawn:\n%s\nwant:\n%s", got, want)
	}
}
