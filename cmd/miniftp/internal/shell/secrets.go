package shell

import (
	"regexp"
	"strings"

	"miniftp/ftp"
)

// maskLine returns a line of the shell as the history, the list of jobs and messages may show it:
// the passwords in URLs, those that commands send, and the secrets of this session are masked.
func (s *session) maskLine(line string) string {
	line = urlPassword.ReplaceAllString(line, "${1}:****@")
	line = passwordCommand.ReplaceAllStringFunc(line, maskCommand)
	return s.secrets.Mask(line)
}

// urlPassword matches a URL up to its host. It allows blanks, because the URL may be quoted. The
// last @ before the path ends the password, because users leave an @ in a password unescaped.
var urlPassword = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*):[^/]*@`)

// passwordCommand matches a whole command that may send a password.
var passwordCommand = regexp.MustCompile(`(?i)(^|[;|#&!])(\s*["']?(quote|literal)["']?\s)?\s*["']?(user|pass|acct|adat|site)["']?\s[^;|#]*`)

// maskCommand masks one match of passwordCommand. The verb user belongs to the shell and takes the
// password after the name.
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
