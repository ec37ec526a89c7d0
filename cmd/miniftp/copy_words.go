package main

import (
	"errors"
	"fmt"
	"strings"

	"miniftp/ftp"
	"miniftp/ftp/client"
)

// productOf is the server that said that, as far as its words tell.
func productOf(cl *client.Client, reply ftp.Reply) *product {
	greeting := cl.Greeting()
	if p := recognise(greeting.Text()); p != nil {
		return p
	}
	text := strings.ToLower(reply.Text())
	for _, t := range tellTales {
		if strings.Contains(text, t.words) {
			return recognise(t.product)
		}
	}
	return nil
}

// whoForbids says, of a copy that the servers don't make, which setting of which
// server stands in the way, and what works all the same.
func whoForbids(err error, from, to *client.Client) error {
	var no *client.NoWayError
	if !errors.As(err, &no) {
		return err
	}
	text := no.Error()
	for _, one := range no.Causes() {
		cl, which := to, "destination"
		if one.Source {
			cl, which = from, "source"
		}
		if hint := settingOf(one, cl); hint != "" && !strings.Contains(text, hint) {
			text += fmt.Sprintf("\n  at the %s: %s", which, hint)
		}
	}
	return hinted{err: err, text: text + "\n  --via-client copies through this program instead"}
}

// settingOf names the setting behind a refusal; "" if it is none.
func settingOf(one *client.CopyError, cl *client.Client) string {
	var reply *ftp.Error
	var open *client.OpenError
	var host *client.HostError
	var said ftp.Reply
	if errors.As(one.Err, &reply) {
		said = reply.Reply
	}
	p := productOf(cl, said)
	dials := reply != nil && (reply.Verb == "PORT" || reply.Verb == "EPRT")
	switch text := strings.ToLower(said.Text()); {
	case errors.As(one.Err, &host):
		return "its public address is not set right; --trust-address believes what it says"
	case strings.Contains(text, "reuse") || strings.Contains(text, "resume"):
		if p != nil && p.settings[sessionReuse] != "" {
			return p.name + " allows it with " + p.settings[sessionReuse]
		}
		return "it wants TLS sessions to be resumed, which another server can't"
	case errors.As(one.Err, &open), dials && said.Code >= 500, reply != nil && ftp.IsTransfer(reply.Verb) && said.Code == 425:
	default:
		return ""
	}
	if p == nil || fxpSettings[p.name] == (fxpSetting{}) {
		return "data connections with other hosts than the client's (FXP) are forbidden there, or a firewall is in between"
	}
	set := fxpSettings[p.name].listens
	if dials {
		set = fxpSettings[p.name].dials
	}
	return p.name + " allows it with " + set
}
