package server

import (
	"fmt"
	"runtime"
	"strings"

	"miniftp/ftp"
)

func miscRows() []row {
	return []row{
		{verb: "SYST", anyone: true, syntax: noArg, rfc: "959 §4.1.3", help: "show the type of system, for parsing LIST", run: func(*session, string) ftp.Reply { return ftp.NewReply(215, "UNIX Type: L8") }},
		{verb: "NOOP", anyone: true, now: true, syntax: noArg, rfc: "959 §4.1.3", help: "do nothing, and reply", run: func(*session, string) ftp.Reply { return ftp.NewReply(200, "Here I am.") }},
		{verb: "HELP", anyone: true, syntax: textArg.shape("[<verb>]"), rfc: "959 §4.1.3", help: "list the commands, or explain one", run: (*session).help},
		{verb: "FEAT", anyone: true, syntax: noArg, rfc: "2389 §3", feat: feature(ftp.FeatureMiniftp), help: "list the extensions to RFC 959", run: (*session).feat},
		{verb: "OPTS UTF8", aliases: []string{"OPTS UTF-8"}, anyone: true, syntax: textArg.shape("[ON|OFF]"), rfc: "2640", feat: feature("UTF8"), help: "names are UTF-8, byte for byte, in any case", run: (*session).optsUTF8},
		{verb: "OPTS MLST", syntax: textArg.shape("[<fact>;…]"), rfc: "3659 §7.9", help: "choose the facts of MLST and MLSD", run: (*session).optsMLST},
		{verb: "OPTS HASH", syntax: textArg.shape("[<algorithm>]"), rfc: "draft-bryan-ftpext-hash", help: "choose the algorithm of HASH", run: (*session).optsHASH},
		{verb: "CLNT", anyone: true, syntax: textArg.shape("<name>"), feat: feature("CLNT"), help: "name your client", run: func(*session, string) ftp.Reply { return ftp.NewReply(200, "Noted.") }},
		{verb: "CSID", anyone: true, syntax: textArg.shape("[<name>=<value>;…]"), feat: feature("CSID"), help: "name your client and learn the server's name", run: (*session).csid},
		{verb: "LANG", anyone: true, syntax: textArg.shape("[<tag>]"), rfc: "2640 §4", feat: feature("LANG EN*"), help: "the language of replies", run: (*session).lang},
		{verb: "AVBL", perm: PermStore, syntax: optionalArg, rfc: "draft-peterson-streamlined-ftp", feat: feature("AVBL"), help: "show how many bytes can be stored", run: (*session).avbl},
	}
}

// help is derived from the table. ncftp sends HELP SITE.
func (s *session) help(arg string) ftp.Reply {
	if verb := strings.ToUpper(strings.TrimSpace(arg)); verb == "SITE" {
		return s.siteHelp("")
	} else if verb != "" {
		r := s.srv.table.byVerb[verb]
		if r == nil {
			return ftp.Replyf(501, "%q is an unknown command.", ftp.Printable(clip(verb, 40)))
		}
		return ftp.Replyf(214, "%s: %s", strings.TrimRight(r.verb+" "+r.syntax.text, " "), r.help)
	}
	lines := []string{"I know:"}
	line := ""
	for _, r := range s.srv.table.rows {
		verb, _, sub := strings.Cut(r.verb, " ")
		if sub && strings.Contains(line+strings.Join(lines, " "), verb) {
			continue
		}
		if line += fmt.Sprintf(" %-5s", verb); len(line) > 60 {
			lines, line = append(lines, line), ""
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return ftp.NewReply(214, append(lines, "HELP <verb> explains one.")...)
}

func (s *session) feat(string) ftp.Reply {
	lines := []string{"I also know:"}
	for _, f := range s.features() {
		lines = append(lines, " "+f)
	}
	return ftp.NewReply(211, append(lines, "End")...)
}

// optsUTF8 changes nothing: names are passed on byte for byte.
func (s *session) optsUTF8(arg string) ftp.Reply {
	switch strings.ToUpper(strings.TrimSpace(arg)) {
	case "", "ON", "NLST":
		return ftp.NewReply(200, "Names are UTF-8.")
	case "OFF":
		return ftp.NewReply(200, "Names are passed on as they are.")
	}
	return ftp.NewReply(501, "OPTS UTF8 takes ON or OFF.")
}

func (s *session) optsMLST(arg string) ftp.Reply {
	s.facts = ftp.ParseFacts(arg)
	return ftp.NewReply(200, strings.TrimRight("MLST OPTS "+s.facts.String(), " "))
}

func (s *session) csid(string) ftp.Reply {
	caseSensitive := 1
	if foldsCase {
		caseSensitive = 0
	}
	return ftp.Replyf(200, "Name=miniftp; OS=%s; CaseSensitive=%d; DirSep=/;", runtime.GOOS, caseSensitive)
}

func (s *session) lang(arg string) ftp.Reply {
	tag := strings.ToLower(strings.TrimSpace(arg))
	if tag == "" || tag == "en" || strings.HasPrefix(tag, "en-") {
		return ftp.NewReply(200, "Replies are in English.")
	}
	return ftp.NewReply(504, "Replies are in English only.")
}

func (s *session) avbl(arg string) ftp.Reply {
	p := s.resolve(arg)
	if err := isDir(s.account.FS, p); err != nil {
		return fileError(err, p)
	}
	n, err := s.free(p)
	if err != nil {
		return fileError(err, p)
	}
	return ftp.Replyf(213, "%d", n)
}
