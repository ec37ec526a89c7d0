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

// withAdvice adds advice to err if the servers refuse to copy: which setting of which server forbids
// it, and what works instead. It returns other errors unchanged.
func withAdvice(err error) error {
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

// settingOf returns the setting that causes a refusal; "" if it is unknown.
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
		return "its public address is configured wrong; --trust-address accepts the address that it announces"
	case strings.Contains(text, "reuse") || strings.Contains(text, "resume"):
		if p != nil && p.Settings[product.SessionReuse] != "" {
			return p.Name + " allows it with " + p.Settings[product.SessionReuse]
		}
		return "it requires TLS session reuse, which another server can't provide"
	case errors.As(one.Err, new(*client.OpenError)), dials && said.Code >= 500, reply != nil && ftp.IsTransfer(reply.Verb) && said.Code == 425:
	default:
		return ""
	}
	if p == nil || product.FXPSettings[p.Name] == (product.FXPSetting{}) {
		return "it forbids data connections with hosts other than the client (FXP), or a firewall blocks them"
	}
	set := product.FXPSettings[p.Name].Listens
	if dials {
		set = product.FXPSettings[p.Name].Dials
	}
	return p.Name + " allows it with " + set
}
