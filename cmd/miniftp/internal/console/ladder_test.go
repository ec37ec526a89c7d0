package console

import (
	"testing"
	"time"

	"miniftp/cmd/miniftp/internal/sessions"
)

// TestLadder checks the steps of events: in active mode who listens, who dials and the arrow are reversed.
func TestLadder(t *testing.T) {
	l := ladderOf(&sessions.Info{From: "192.0.2.9:1234", To: "192.0.2.1:21"})
	at := time.UnixMilli(0)
	for _, tt := range []struct {
		event sessions.Event
		want  step
	}{
		{sessions.Event{Kind: sessions.Opened}, step{Label: "control", Left: "192.0.2.9:1234", LeftDoes: dials, To: toServer, Right: ":21", RightDoes: listens}},
		{sessions.Event{Kind: sessions.Secured, TLS: "TLS 1.3", Resumed: true}, step{Left: "TLS client", Right: "TLS server", To: toServer, Note: "TLS 1.3, resumed"}},
		{sessions.Event{Kind: sessions.Commanded, Verb: "EPSV"}, step{Left: "EPSV", To: toServer}},
		{sessions.Event{Kind: sessions.Replied, Verb: "EPSV", Code: 229, Text: "Entering (|||40017|)"}, step{Right: "229 |||40017|", To: toClient, Note: "“I listen on 40017”"}},
		{sessions.Event{Kind: sessions.Replied, Verb: "PASV", Code: 227, Text: "Here (192,0,2,1,4,1)"}, step{Right: "227 192,0,2,1,4,1", To: toClient, Note: "“I listen on 1025”"}},
		{sessions.Event{Kind: sessions.Replied, Verb: "PASV", Code: 227, Text: "Here (203,0,113,7,4,1)"}, step{Right: "227 203,0,113,7,4,1", To: toClient, Note: "“I listen on 203.0.113.7:1025”"}},
		{sessions.Event{Kind: sessions.Replied, Verb: "PASV", Code: 227, Text: "Here"}, step{Right: "227 Here", To: toClient}},
		{sessions.Event{Kind: sessions.DataOpened, Mode: "passive", Addr: "192.0.2.9:5000", Local: "192.0.2.1:40017"}, step{Label: "data", Left: ":5000", LeftDoes: dials, To: toServer, Right: ":40017", RightDoes: listens, Note: "passive"}},
		{sessions.Event{Kind: sessions.Transfer, Verb: "RETR", Bytes: 2_100_000, Seconds: 0.5}, step{Bytes: true, To: toClient, Note: "2.1 MB in 500 ms, 4.2 MB/s"}},
		{sessions.Event{Kind: sessions.Commanded, Verb: "EPRT", Arg: "|1|192.0.2.9|41241|"}, step{Left: "EPRT :41241", To: toServer, Note: "“call me on 41241”"}},
		{sessions.Event{Kind: sessions.Commanded, Verb: "PORT", Arg: "192,0,2,77,4,1"}, step{Left: "PORT 192.0.2.77:1025", To: toServer, Note: "“call me on 192.0.2.77:1025”"}},
		{sessions.Event{Kind: sessions.Commanded, Verb: "PORT", Arg: "x"}, step{Left: "PORT x", To: toServer}},
		{sessions.Event{Kind: sessions.DataOpened, Mode: "active", Addr: "192.0.2.9:41241", Local: "192.0.2.1:20"}, step{Label: "data", Left: ":41241", LeftDoes: listens, To: toClient, Right: ":20", RightDoes: dials, Note: "active: the roles are reversed"}},
		{sessions.Event{Kind: sessions.Transfer, Verb: "STOR", Bytes: 10, Why: "canceled"}, step{Bytes: true, Bad: true, To: toServer, Note: "10 B in 0.0 ms: canceled"}},
		{sessions.Event{Kind: sessions.DataFailed, Mode: "active", Addr: "192.0.2.9:41241", Why: "refused"}, step{Label: "data", Left: ":41241", LeftDoes: listens, To: toClient, RightDoes: dials, Bad: true, Note: "active: the roles are reversed; no data connection: refused"}},
		{sessions.Event{Kind: sessions.DataFailed, Mode: "passive", Addr: "192.0.2.1:40017", Why: "nobody came", Option: "x"}, step{Label: "data", LeftDoes: dials, To: toServer, Right: ":40017", RightDoes: listens, Bad: true, Note: "passive; no data connection: nobody came (x)"}},
		{sessions.Event{Kind: sessions.Stranger, Addr: "192.0.2.66:9"}, step{Label: "data", Bad: true, Note: "another host connected and was refused: 192.0.2.66:9"}},
		{sessions.Event{Kind: sessions.Replied, Code: 550, Text: "No"}, step{Right: "550 No", To: toClient, Bad: true}},
		{sessions.Event{Kind: sessions.Closed, Seconds: 61, Why: "lost"}, step{Label: "control", Bad: true, Note: "closed after 1m1s: lost"}},
	} {
		tt.event.Time = at
		if got, ok := l.add(&tt.event); !ok || got != tt.want {
			t.Errorf("%+v:\ngot  %+v\nwant %+v", tt.event, got, tt.want)
		}
	}
	for _, kind := range []string{sessions.Offered, sessions.LoggedIn, sessions.Changed, "new"} {
		if got, ok := l.add(&sessions.Event{Kind: kind, Time: at}); ok {
			t.Errorf("%s: %+v", kind, got)
		}
	}
}
