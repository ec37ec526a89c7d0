package shell

import (
	"regexp"
	"strings"

	"miniftp/ftp"
)

// maskLine returns a line of the shell as the history, the list of jobs or a message may
// show it: without passwords of URLs, wherever they stand, without what commands send as
// a password, and without the secrets of this session.
func (s *session) maskLine(line string) string {
	line = urlPassword.ReplaceAllString(line, "${1}:****@")
	line = passwordCommand.ReplaceAllStringFunc(line, maskCommand)
	return s.secrets.Mask(line)
}

// urlPassword matches a URL as far as its host. A blank may be a part of a quoted one. The
// last @ before the path ends the password, as in a URL that lacks its %40.
var urlPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*):[^/]*@`)

// passwordCommand matches a command that may send a password, up to its end.
var passwordCommand = regexp.MustCompile(`(?i)(^|[;|#&!])(\s*["']?(quote|literal)["']?\s)?\s*["']?(user|pass|acct|adat|site)["']?\s[^;|#]*`)

// maskCommand masks one match of passwordCommand. user is the shell's own, and takes the
// password behind the name.
func maskCommand(text string) string {
	at := passwordCommand.FindStringSubmatchIndex(text)
	start, text := text[:at[8]], text[at[8]:]
	return start + maskArguments(text)
}

func maskArguments(text string) string {
	words := strings.Fields(text)
	verb := strings.ToLower(strings.Trim(words[0], `"'`))
	switch {
	case len(words) < 2, verb == "user" && len(words) < 3:
		return text
	case verb == "user":
		return words[0] + " " + words[1] + " ****"
	case verb == "site":
		args := strings.ReplaceAll(strings.Join(words[1:], " "), `"`, "")
		cmd := ftp.Command{Verb: "SITE", Arg: strings.ReplaceAll(args, "'", "")}
		if masked := cmd.Masked(); masked.Arg != cmd.Arg {
			return words[0] + " " + masked.Arg
		}
		return text
	}
	return words[0] + " ****"
}
