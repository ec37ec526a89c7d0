package server

import (
	"strings"

	"miniftp/ftp"
)

func accessRows() []row {
	return []row{
		{verb: "USER", anyone: true, syntax: wordArg.shape("<name>"), rfc: "959 §4.1.1", help: "send your user name", run: (*session).user},
		{verb: "PASS", anyone: true, syntax: textArg.shape("<password>"), rfc: "959 §4.1.1", help: "send your password", run: (*session).pass},
		{verb: "ACCT", anyone: true, syntax: textArg.shape("<account>"), rfc: "959 §4.1.1", help: "send an account; none is needed", run: (*session).acct},
		{verb: "REIN", anyone: true, syntax: noArg, rfc: "959 §4.1.1", help: "log out and start over", run: (*session).rein},
		{verb: "QUIT", anyone: true, syntax: noArg, rfc: "959 §4.1.1", help: "end the session, after a running transfer", run: (*session).quit},
		{verb: "HOST", anyone: true, syntax: wordArg.shape("<name>"), rfc: "7151", feat: feature("HOST"), help: "choose the host that you want to reach", run: (*session).host},
	}
}

// user logs out and asks for a password. It does so for every name, so that nobody learns which users exist
// (RFC 959 §4.1.1 has USER drop the old login). Only a client certificate can replace the password (RFC 4217
// §11).
func (s *session) user(name string) ftp.Reply {
	s.reset()
	s.identity.user = name
	if s.certified(name) {
		return s.logIn("USER", "")
	}
	return ftp.NewReply(331, "Password, please.")
}

func (s *session) pass(password string) ftp.Reply {
	if s.machine.Login == ftp.LoggedIn {
		return ftp.NewReply(503, "You are logged in already.")
	}
	if s.machine.Login != ftp.NeedPass {
		return ftp.NewReply(503, "Send USER first.")
	}
	return s.logIn("PASS", password)
}

func (s *session) acct(string) ftp.Reply {
	if s.machine.Login != ftp.LoggedIn {
		return ftp.NewReply(503, "Send USER and PASS first.")
	}
	return ftp.NewReply(202, "No account is needed.")
}

func (s *session) rein(string) ftp.Reply {
	s.reset()
	s.identity = identity{}
	return ftp.NewReply(220, "Start over.")
}

func (s *session) quit(string) ftp.Reply { return ftp.NewReply(221, "Goodbye.") }

// host chooses one of several host names (RFC 7151 §3). The name may be an address, in brackets or not. It is
// passed to the Authenticator.
func (s *session) host(name string) ftp.Reply {
	if s.machine.Login == ftp.LoggedIn {
		return ftp.NewReply(503, "HOST comes before USER.")
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if len(s.set.Hosts) > 0 && !contains(s.set.Hosts, name) {
		return ftp.NewReply(504, "Unknown host name.")
	}
	s.identity = identity{host: name}
	return ftp.Replyf(220, "%s", s.set.Greeting)
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}
