package copy

import (
	"errors"
	"fmt"
	"strings"

	"miniftp/cmd/miniftp/internal/product"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
)

// whoForbids says, of a copy that the servers don't make, which setting of which
// server stands in the way, and what works all the same.
func whoForbids(err error) error {
	var no *fxp.NoWayError
	if !errors.As(err, &no) {
		return err
	}
	text := no.Error()
	for _, one := range no.Causes() {
		which := "destination"
		if one.Source {
			which = "source"
		}
		if hint := settingOf(one); hint != "" && !strings.Contains(text, hint) {
			text += fmt.Sprintf("\n  at the %s: %s", which, hint)
		}
	}
	return verb.Hinted{Err: err, Text: text + "\n  --via-client copies through this program instead"}
}

// settingOf names the setting behind a refusal; "" if it is none.
func settingOf(one *fxp.Error) string {
	var reply *ftp.Error
	var said ftp.Reply
	if errors.As(one.Err, &reply) {
		said = reply.Reply
	}
	p := product.Recognise(one.Greeting.Text())
	if p == nil {
		p = product.ByRefusal(said.Text())
	}
	dials := reply != nil && (reply.Verb == "PORT" || reply.Verb == "EPRT")
	switch text := strings.ToLower(said.Text()); {
	case errors.As(one.Err, new(*fxp.HostError)):
		return "its public address is not set right; --trust-address believes what it says"
	case strings.Contains(text, "reuse") || strings.Contains(text, "resume"):
		if p != nil && p.Settings[product.SessionReuse] != "" {
			return p.Name + " allows it with " + p.Settings[product.SessionReuse]
		}
		return "it wants TLS sessions to be resumed, which another server can't"
	case errors.As(one.Err, new(*client.OpenError)), dials && said.Code >= 500, reply != nil && ftp.IsTransfer(reply.Verb) && said.Code == 425:
	default:
		return ""
	}
	if p == nil || product.FXPSettings[p.Name] == (product.FXPSetting{}) {
		return "data connections with other hosts than the client's (FXP) are forbidden there, or a firewall is in between"
	}
	set := product.FXPSettings[p.Name].Listens
	if dials {
		set = product.FXPSettings[p.Name].Dials
	}
	return p.Name + " allows it with " + set
}
