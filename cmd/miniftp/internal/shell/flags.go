package shell

import (
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// understand finds the verb of a command, and tells its flags from its arguments. It
// is nil if the help of the verb was wanted, and printed.
func (s *session) understand(c command) (*call, error) {
	name := c.words[0].text
	v := s.verbs[name]
	if v == nil {
		return nil, verb.Usagef("not a verb: help lists them; !%s would run a program of this machine", ftp.MaskURL(name))
	}
	l := &call{command: c, verb: v, name: name, flags: v.flags, args: c.words[1:]}
	if v.cli != "" {
		line := s.commandLine(v.cli)
		given, args, err := splitFlags(line, name, l.args)
		if err != nil {
			return nil, err
		}
		l.args = args
		for _, f := range given {
			switch f {
			case "-R", "--reverse":
				l.turn = l.turn || v.cli == "mirror"
			case "--help", "-h":
				if f == "-h" && flags.Find(line.Flags, "h") != nil {
					break
				}
				if len(args) > 0 {
					return nil, verb.Usagef("%s shows the help only without arguments: help %s", f, name)
				}
				return nil, s.help(s.e.Out, v)
			}
			if v.cli != "mirror" || f != "-R" && f != "--reverse" {
				l.flags = append(l.flags[:len(l.flags):len(l.flags)], f)
			}
		}
	}
	if n := len(l.args); n < v.least || v.most >= 0 && n > v.most {
		if v.hint != "" && n > v.most {
			return nil, verb.Usagef("it takes %s; %s", v.takes, v.hint)
		}
		if v.takes == "" {
			return nil, verb.Usagef("it takes no argument")
		}
		return nil, verb.Usagef("it takes %s", v.takes)
	}
	return l, nil
}

// commandLine is a verb of the command line, to be looked at.
func (s *session) commandLine(of string) *cli.Command {
	if s.app == nil {
		s.app = flags.NewApp(&verb.Env{Stdio: s.e.Stdio, Ctx: s.e.Ctx, Verbs: s.e.Verbs})
	}
	return s.app.Command(of)
}

// splitFlags tells flags from arguments, wherever they stand; behind -- there are only
// arguments. Each flag is one element, with its value behind it in another.
func splitFlags(c *cli.Command, name string, words []word) (given []string, args []word, err error) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w.bare && w.text == "--":
			return given, append(args, words[i+1:]...), nil
		case !w.isFlag():
			args = append(args, w)
			continue
		}
		some, wants, err := flags.SplitCluster(w.text, func(flag string) (cli.DocGenerationFlag, error) { return lineFlag(c, name, flag) })
		if err != nil {
			return nil, nil, err
		}
		given = append(given, some...)
		if wants {
			if i++; i == len(words) {
				return nil, nil, flags.MissingValue(some[len(some)-1], c.Flags)
			}
			given = append(given, words[i].text)
		}
	}
	return given, args, nil
}

// lineFlag is a flag of a verb, if a line may have it; nil for those that the shell
// knows by itself.
func lineFlag(c *cli.Command, of, name string) (cli.DocGenerationFlag, error) {
	if name == "-h" && flags.Find(c.Flags, "h") == nil || name == "--help" || c.Name == "mirror" && (name == "-R" || name == "--reverse") {
		return nil, nil
	}
	f, ok := flags.Find(c.Flags, strings.TrimLeft(name, "-")).(cli.DocGenerationFlag)
	if !ok {
		return nil, verb.Usagef("there is no flag %s: help %s lists them; a name that begins with a dash stands behind --", name, of)
	}
	switch long := f.(cli.Flag).Names()[0]; {
	case !connectionFlags[long]:
		return f, nil
	case long == "explain", long == "verbose", long == "active", long == "passive":
		return nil, verb.Usagef("%s is a command of its own here: %s", name, long)
	}
	return nil, verb.Usagef("%s belongs to the connection: give it to  miniftp shell,  for all lines", name)
}
