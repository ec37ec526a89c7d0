package shell

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// shellVerb describes a command of the shell. Help and completion are made from it.
type shellVerb struct {
	names []string // its name and its aliases
	takes string   // its arguments
	does  string   // what it does, for help
	least int      // the smallest number of arguments
	most  int      // the largest number of arguments; -1: no limit
	hint  string   // added to the error about too many arguments
	// completes has a letter for each argument; the last letter also applies to all further ones. r
	// is a remote name and d a remote directory, l and m are the local ones, v is a verb, o is on
	// or off, t is ascii or binary, and - is not completed.
	completes string

	cli      string   // the verb of the command line that implements it; "" if run does
	flags    []string // always given to cli
	operands func(s *session, l *call) ([]string, error)
	writes   bool // it may change directories: cached listings are dropped
	pager    bool // its output goes through a pager

	run func(s *session, ctx context.Context, l *call) error
}

// shellVerbs returns all commands, in the groups that help prints. A new command needs only a row
// here.
func shellVerbs() [][]*shellVerb {
	return [][]*shellVerb{{
		{names: []string{"ls"}, takes: "[REMOTE...]", does: "list a directory; -l shows details", most: -1, completes: "r", cli: "ls", operands: remoteOrHere},
		{names: []string{"dir"}, takes: "[REMOTE...]", does: "the same as ls -l", most: -1, completes: "r", cli: "ls", flags: []string{"-l"}, operands: remoteOrHere},
		{names: []string{"nlist"}, takes: "[REMOTE...]", does: "the same as ls", most: -1, completes: "r", cli: "ls", operands: remoteOrHere},
		{names: []string{"cd"}, takes: "[DIR|-]", does: "go to a remote directory (default: the login directory; -: the previous one)", most: 1, completes: "d", run: (*session).runCd},
		{names: []string{"cdup"}, does: "the same as cd ..", completes: "-", run: (*session).runCdup},
		{names: []string{"pwd"}, does: "print the remote directory", completes: "-", run: (*session).runPwd},
		{names: []string{"cat"}, takes: "REMOTE...", does: "print files", least: 1, most: -1, completes: "r", cli: "cat", operands: remoteEach},
		{names: []string{"more"}, takes: "REMOTE...", does: "print files page by page, using $PAGER", least: 1, most: -1, completes: "r", cli: "cat", pager: true, operands: remoteEach},
		{names: []string{"stat"}, takes: "[REMOTE...]", does: "show name, type, size and time", most: -1, completes: "r", cli: "stat", operands: remoteOrHere},
		{names: []string{"hash"}, takes: "REMOTE...", does: "print checksums", least: 1, most: -1, completes: "r", cli: "hash", operands: remoteEach},
		{names: []string{"rm", "delete", "mdelete"}, takes: "REMOTE...", does: "delete files; -r deletes directories too", least: 1, most: -1, completes: "r", cli: "rm", writes: true, operands: remoteEach},
		{names: []string{"mv", "rename"}, takes: "REMOTE REMOTE", does: "rename a file or directory, or move it into a directory", least: 2, most: 2, completes: "r", cli: "mv", writes: true, operands: mvOperands},
		{names: []string{"mkdir"}, takes: "DIR...", does: "make directories; -p makes parents too", least: 1, most: -1, completes: "d", cli: "mkdir", writes: true, operands: remoteEach},
		{names: []string{"rmdir"}, takes: "DIR...", does: "remove empty directories", least: 1, most: -1, completes: "d", writes: true, run: (*session).runRmdir},
		{names: []string{"chmod"}, takes: "MODE REMOTE...", does: "set permission bits", least: 2, most: -1, completes: "-r", cli: "chmod", writes: true, operands: chmodOperands},
	}, {
		{names: []string{"get", "recv"}, takes: "REMOTE [LOCAL|-]", does: "fetch a file; -r fetches a directory, -c resumes", least: 1, most: 2, hint: "mget takes several", completes: "rl", cli: "get", operands: getOperands},
		{names: []string{"mget"}, takes: "REMOTE...", does: "fetch several files, or those that a pattern matches", least: 1, most: -1, completes: "r", cli: "get", operands: mgetOperands},
		{names: []string{"reget"}, takes: "REMOTE [LOCAL]", does: "the same as get -c", least: 1, most: 2, completes: "rl", cli: "get", flags: []string{"-c"}, operands: getOperands},
		{names: []string{"put", "send"}, takes: "LOCAL [REMOTE]", does: "send a file; -r sends a directory, -c resumes", least: 1, most: 2, hint: "mput takes several", completes: "lr", cli: "put", writes: true, operands: putOperands},
		{names: []string{"mput"}, takes: "LOCAL...", does: "send several files, or those that a pattern matches", least: 1, most: -1, completes: "l", cli: "put", writes: true, operands: mputOperands},
		{names: []string{"reput"}, takes: "LOCAL [REMOTE]", does: "the same as put -c", least: 1, most: 2, completes: "lr", cli: "put", writes: true, flags: []string{"-c"}, operands: putOperands},
		{names: []string{"mirror"}, takes: "[-R] [SRC [DST]]", does: "fetch what differs in a directory; -R sends it", most: 2, completes: "dm", cli: "mirror", writes: true, operands: mirrorOperands},
		{names: []string{"copy"}, takes: "REMOTE|URL REMOTE|URL", does: "copy from server to server", least: 2, most: 2, completes: "r", cli: "copy", writes: true, operands: remoteEach},
		{names: []string{"ascii"}, does: "transfer text from now on: line ends are converted", completes: "-", run: (*session).runASCII},
		{names: []string{"binary", "image", "bin"}, does: "transfer bytes unchanged, which is the default", completes: "-", run: (*session).runBinary},
		{names: []string{"type"}, takes: "[ascii|binary]", does: "show or set whether transfers are ascii or binary", most: 1, completes: "t", run: (*session).runType},
		{names: []string{"passive"}, takes: "[on|off]", does: "the server listens, the client dials", most: 1, completes: "o", run: (*session).runPassive},
		{names: []string{"active"}, takes: "[on|off]", does: "the client listens, the server dials", most: 1, completes: "o", run: (*session).runActive},
	}, {
		{names: []string{"lcd"}, takes: "[DIR|-]", does: "go to a local directory (default: the home directory; -: the previous one)", most: 1, completes: "m", run: (*session).runLcd},
		{names: []string{"lpwd"}, does: "print the local directory", completes: "-", run: (*session).runLpwd},
		{names: []string{"lls"}, takes: "[LOCAL...]", does: "list a local directory", most: -1, completes: "l", run: (*session).runLls},
		{names: []string{"!"}, takes: "[COMMAND]", does: "run a local program; ! alone runs a shell", most: 1, completes: "l", run: (*session).runLocal},
	}, {
		{names: []string{"jobs"}, does: "list the background jobs and their progress", completes: "-", run: (*session).runJobs},
		{names: []string{"wait"}, takes: "[N]", does: "wait for one job or for all", most: 1, completes: "-", run: (*session).runWait},
		{names: []string{"kill"}, takes: "N", does: "end a job", least: 1, most: 1, completes: "-", run: (*session).runKill},
	}, {
		{names: []string{"open", "connect"}, takes: "URL", does: "connect to a server", least: 1, most: 1, completes: "-", run: (*session).runOpen},
		{names: []string{"user"}, takes: "NAME [PASSWORD]", does: "log in as another user", least: 1, most: 2, completes: "-", run: (*session).runUser},
		{names: []string{"close", "disconnect"}, does: "close the connection", completes: "-", run: (*session).runClose},
		{names: []string{"explain"}, takes: "[on|off|FILE.svg]", does: "draw which side listens and which dials", most: 1, completes: "o", run: (*session).runExplain},
		{names: []string{"verbose", "debug"}, takes: "[on|off]", does: "show commands and replies", most: 1, completes: "o", run: (*session).runVerbose},
		{names: []string{"quote", "literal"}, takes: "COMMAND...", does: "send an FTP command unchanged", least: 1, most: -1, completes: "-", run: (*session).runQuote},
		{names: []string{"site"}, takes: "COMMAND...", does: "send a SITE command", least: 1, most: -1, completes: "-", run: (*session).runSite},
		{names: []string{"history"}, does: "print the lines typed so far", completes: "-", run: (*session).runHistory},
		{names: []string{"help", "?"}, takes: "[COMMAND]", does: "list the commands, or describe one", most: 1, completes: "v", run: (*session).runHelp},
		{names: []string{"bye", "quit", "exit"}, does: "exit the shell", completes: "-", run: (*session).runBye},
	}}
}

// verbsByName maps each name and alias to its row.
func verbsByName() map[string]*shellVerb {
	all := map[string]*shellVerb{}
	for v := range slices.Values(slices.Concat(shellVerbs()...)) {
		for _, name := range v.names {
			all[name] = v
		}
	}
	return all
}

const shellNotes = `Names with blanks need quotes, or a backslash before each blank. *, ? and [a-z]
match names. ; separates commands, & at the end of a command runs it in the
background, | sends its output to a local program, # begins a comment. Ctrl-C
ends a command, Ctrl-D exits. help COMMAND describes one command.`

func (s *session) runHelp(_ context.Context, l *call) error {
	if len(l.args) > 0 {
		v := s.verbs[l.args[0].text]
		if v == nil {
			return verb.Usagef("%s is not a command: help lists them", l.args[0].text)
		}
		return s.help(l.out, v)
	}
	for _, group := range shellVerbs() {
		for _, v := range group {
			head := v.names[0] + " " + v.takes
			if term.Cells(head) > flags.HelpColumn-3 {
				fmt.Fprintf(l.out, "  %s\n", head)
				head = ""
			}
			for _, line := range term.Wrap(v.does, flags.HelpWidth-flags.HelpColumn) {
				fmt.Fprintf(l.out, "%-*s%s\n", flags.HelpColumn, "  "+head, line)
				head = ""
			}
		}
		fmt.Fprintln(l.out)
	}
	fmt.Fprintln(l.out, shellNotes)
	return nil
}

// help prints the help of one command.
func (s *session) help(w io.Writer, v *shellVerb) error {
	usage := v.names[0]
	var all []cli.Flag
	if v.cli != "" {
		for _, f := range s.commandLine(v.cli).Flags {
			if !connectionFlags[f.Names()[0]] {
				all = append(all, f)
			}
		}
		usage += " [flags]"
	}
	fmt.Fprintf(w, "%s\n    %s\n", strings.TrimSpace(usage+" "+v.takes), v.does)
	if len(v.names) > 1 {
		fmt.Fprintf(w, "    also: %s\n", strings.Join(v.names[1:], ", "))
	}
	for _, f := range all {
		fmt.Fprint(w, flags.Help(f))
	}
	return nil
}
