package server

import (
	"fmt"
	"strings"

	"miniftp/ftp"
)

// row describes one verb. The replies to FEAT, HELP and SITE HELP, the checks before a command runs (judge),
// and docs/protocol.md are all derived from the rows.
type row struct {
	verb    string // "RETR"; both words for a sub-verb: "SITE CHMOD"
	aliases []string
	anyone  bool                  // works before login
	now     bool                  // is answered while a transfer runs; others wait for its end
	changes bool                  // changes files: its outcome is reported as an ftp.Changed
	perm    Perm                  // the permission that the account needs
	late    bool                  // run checks it again (mayUse), because the path depends on what exists
	file    bool                  // its path is that of a file by the name that the client has sent (meant)
	syntax  syntax                // of the argument
	rfc     string                // where it is specified
	feat    func(*session) string // returns its FEAT line, or ""
	help    string                // one line
	run     func(s *session, arg string) ftp.Reply
}

// syntax is the form of an argument.
type syntax struct {
	text  string                  // its notation, for people
	check func(arg string) bool   // whether arg has this form
	path  func(arg string) string // returns the path in arg; nil: there is none
}

// The forms of arguments.
var (
	noArg       = syntax{"", func(string) bool { return true }, nil} // tolerant: a stray argument is ignored
	pathArg     = syntax{"<path>", func(a string) bool { return a != "" }, wholeArg}
	optionalArg = syntax{"[<path>]", func(string) bool { return true }, wholeArg}
	wordArg     = syntax{"<word>", func(a string) bool { return strings.TrimSpace(a) != "" }, nil}
	textArg     = syntax{"<text>", func(string) bool { return true }, nil}
	factArg     = syntax{"<fact> <path>", pathArg.check, afterWord}
	timeArg     = syntax{"[<time>] <path>", pathArg.check, afterTime}
	flagsArg    = syntax{"[-<flags>] [<path>]", optionalArg.check, afterFlags}
)

func wholeArg(arg string) string { return arg }

// afterWord returns the path of an argument that starts with another word.
func afterWord(arg string) string {
	_, rest, _ := strings.Cut(arg, " ")
	return rest
}

// afterTime returns the path of an argument that may start with a time.
func afterTime(arg string) string {
	word, rest, _ := strings.Cut(arg, " ")
	if _, _, err := ftp.ParseTime(padSeconds(word)); err == nil {
		return rest
	}
	return arg
}

// afterFlags returns the path of an argument that may start with flags.
func afterFlags(arg string) string {
	for strings.HasPrefix(arg, "-") {
		arg = strings.TrimLeft(afterWord(arg), " ")
	}
	return arg
}

// shape returns s with another notation.
func (s syntax) shape(text string) syntax { s.text = text; return s }

// table holds the rows of a server, by verb and alias.
type table struct {
	rows   []*row
	byVerb map[string]*row
}

// newTable collects the rows of all families. It can't be a package variable because the row of HELP reads the
// table.
func newTable() *table {
	t := &table{byVerb: map[string]*row{}}
	for _, family := range [][]row{
		accessRows(), protectRows(), dataRows(), fxpRows(), paramRows(), transferRows(), treeRows(),
		listRows(), factRows(), hashRows(), siteRows(), miscRows(),
	} {
		for i := range family {
			t.add(&family[i])
		}
	}
	return t
}

func (t *table) add(r *row) {
	for _, verb := range append([]string{r.verb}, r.aliases...) {
		if t.byVerb[verb] != nil {
			panic(fmt.Sprintf("server: two rows for %s", verb))
		}
		t.byVerb[verb] = r
	}
	t.rows = append(t.rows, r)
}

// hasSubVerbs reports whether a verb has sub-verbs, each with a row.
func hasSubVerbs(verb string) bool { return verb == "SITE" || verb == "OPTS" }

// find returns the row of a command, or nil, and the argument for it.
func (t *table) find(c ftp.Command) (*row, string) {
	if !hasSubVerbs(c.Verb) {
		return t.byVerb[c.Verb], c.Arg
	}
	sub, rest, _ := strings.Cut(strings.TrimLeft(c.Arg, " "), " ")
	return t.byVerb[c.Verb+" "+strings.ToUpper(sub)], rest
}

// judge decides whether a command may run. Its checks come in the same order for every verb: known, logged in,
// under TLS, syntax, permission, path, REST and RANG. If the row is nil, the reply says why the command may not
// run.
func (s *session) judge(c ftp.Command) (*row, string, ftp.Reply) {
	r, arg := s.srv.table.find(c)
	needsTLS, refused := s.needsTLS(r)
	switch {
	case r == nil && hasSubVerbs(c.Verb):
		return nil, "", ftp.Replyf(501, "Unknown %s command; HELP lists the known ones.", c.Verb)
	case r == nil && c.Verb == "SMNT":
		return nil, "", ftp.NewReply(502, "SMNT is not supported.")
	case c.Verb == noVerb:
		return nil, "", ftp.NewReply(500, "That line is not a command.")
	case r == nil:
		return nil, "", ftp.Replyf(500, "%q is an unknown command.", ftp.Printable(clip(c.Verb, 40)))
	case !r.anyone && s.machine.Login != ftp.LoggedIn:
		return nil, "", ftp.NewReply(530, "Log in first: USER and PASS.")
	case refused:
		s.emitRefusedCommand(r, arg, r.verb+": TLS is required", ftp.ReasonTLSRequired)
		return nil, "", needsTLS
	case !s.isComplete(r, arg):
		return nil, "", ftp.Replyf(501, "The syntax is: %s %s", r.verb, r.syntax.text)
	case r.perm != 0 && !s.mayRun(r, arg) && !s.isMade(r, arg):
		return nil, "", s.permissionDenied(r, arg)
	case s.pathTooLong(r.syntax, arg):
		return nil, "", ftp.Replyf(553, "The path is too long: the limit is %d bytes and %d levels.", maxPath, maxLevels)
	case s.isHidden(r.syntax, arg):
		return nil, "", ftp.NewReply(553, "Names like that are reserved for partial uploads.")
	}
	if no, misused := s.misused(r.verb); misused {
		return nil, "", no
	}
	if no, fixed := s.changesMount(r, arg); fixed {
		return nil, "", no
	}
	return r, arg, ftp.Reply{}
}

// emitRefusedCommand reports to the Observer why a command was refused, and by which rule.
func (s *session) emitRefusedCommand(r *row, arg, why string, reason ftp.Reason) {
	if s.set.Observer != nil {
		s.emit(ftp.Refused{Why: why, Reason: reason, Verb: r.verb, Path: s.subject(r, arg)})
	}
}

// subject returns the path that a command is about. It is "" if there is none or nobody is logged in.
func (s *session) subject(r *row, arg string) string {
	if r.syntax.path == nil || s.account == nil {
		return ""
	}
	return clip(s.pathFor(r, arg), maxPath)
}

// pathFor returns the path that a command is about, which must have one.
func (s *session) pathFor(r *row, arg string) string {
	if r.file {
		return s.meant(r.syntax.path(arg))
	}
	return s.resolve(r.syntax.path(arg))
}

// emitOutcome reports the outcome of a command that changes files to the Observer, and that of a RETR that was
// refused. renamed is the path of the preceding RNFR. The outcome of a transfer that has begun is reported by
// TransferDone instead.
func (s *session) emitOutcome(cmd ftp.Command, renamed string, reply ftp.Reply) {
	r, arg := s.srv.table.find(cmd)
	class := reply.Code.Class()
	switch {
	case s.set.Observer == nil || r == nil || s.account == nil:
		return
	case r.verb == "RETR" && class > ftp.Intermediate:
		s.emitRefusedCommand(r, arg, reply.String(), ftp.ReasonOther)
		return
	case !r.changes || s.unchanged:
		return
	case class == ftp.Preliminary || class == ftp.Intermediate:
		return
	case r.verb == "MDTM" && r.syntax.path(arg) == arg: // it only reads the time
		return
	}
	c := ftp.Changed{Verb: r.verb, Path: s.subject(r, arg), Reply: reply}
	switch r.verb {
	case "RNTO":
		if c.Path, c.To = renamed, c.Path; class == ftp.Completion {
			c.To = s.givenTo(c.To)
		}
	case "SITE SYMLINK":
		c.To, _, _ = strings.Cut(arg, " ")
	}
	s.emit(c)
}

// features returns the FEAT lines of all rows (RFC 2389 §3.2).
func (s *session) features() []string {
	var lines []string
	for _, r := range s.srv.table.rows {
		if r.feat != nil {
			if line := r.feat(s); line != "" {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// feature returns a function for a constant FEAT line.
func feature(line string) func(*session) string { return func(*session) string { return line } }

func clip(s string, n int) string { return s[:min(len(s), n)] }

// Verb describes one row of the command table, for documentation.
type Verb struct {
	Name    string
	Aliases []string
	Syntax  string
	Before  bool // works before login
	Now     bool // is answered while a transfer runs
	Perm    Perm
	Changes bool // changes files, which is reported to the Observer
	RFC     string
	Help    string
}

// Verbs returns all verbs of a Server, in the order of the table.
func Verbs() []Verb {
	t := newTable()
	verbs := make([]Verb, 0, len(t.rows))
	for _, r := range t.rows {
		verbs = append(verbs, Verb{r.verb, r.aliases, r.syntax.text, r.anyone, r.now, r.perm, r.changes, r.rfc, r.help})
	}
	return verbs
}
