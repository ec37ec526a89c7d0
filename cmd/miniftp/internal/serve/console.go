package serve

import (
	"net"

	"miniftp/cmd/miniftp/internal/console"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/web"
	"miniftp/ftp"
)

// consoleToken returns the token for a live page at an address; "" means that none is needed.
func (s *serving) consoleToken(at net.Addr) (string, error) {
	switch {
	case s.cf.ConsoleTokenFile != "":
		return s.cf.readConsoleToken(s.warn)
	case console.Loopback(at):
		return "", nil
	case s.cf.Quiet || s.service.Present(): // the banner is not printed, or is kept in the journal
		return "", verb.Usagef("%s %s: other machines can reach that address, so the page needs a token: name a file that holds one with --console-token-file, or use a loopback address", s.cf.Word(&s.cf.Console), ftp.Printable(s.cf.Console))
	}
	return console.NewToken(), nil
}

// readConsoleToken returns the token in --console-token-file.
func (cf *config) readConsoleToken(warn func(string)) (string, error) {
	text, mode, err := local.ReadFile(cf.ConsoleTokenFile)
	if err != nil {
		return "", err
	}
	token, err := console.ParseToken(text)
	if err != nil {
		return "", verb.Usagef("%s %s: %v", cf.Word(&cf.ConsoleTokenFile), ftp.Printable(cf.ConsoleTokenFile), err)
	}
	if mode.Perm()&0o004 != 0 {
		warn(ftp.Printable(cf.ConsoleTokenFile) + ", the token of the live page, can be read by every user of this machine (chmod 600)")
	}
	return token, nil
}

// handleConsole registers the live page.
func (s *serving) handleConsole(site *web.Site) (query string, err error) {
	token, err := s.consoleToken(site.Addr())
	if err != nil {
		return "", s.cf.Located(&s.cf.Console, err)
	}
	if token != "" && s.cf.ConsoleTokenFile == "" {
		query = "?token=" + token
	}
	s.console.Handle(site, console.Source{
		Name: s.name, Version: s.c.App.Version, Sessions: s.logs.events.sessions, Log: s.logs.log,
		Progress: s.srv.Progress, Kick: s.srv.Kick, Ports: s.srv.PassivePorts, Draining: s.draining.Load, Quotas: s.quotas,
	}, token)
	return query, nil
}
