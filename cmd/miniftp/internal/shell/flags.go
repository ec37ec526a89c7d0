package shell

import (
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
)

// understand finds the verb of a command and separates its flags from its arguments. It returns nil
// if the command asks for help, which understand prints.
func (s *session) understand(c command) (*call, error) {
	name := c.words[0].text
	v := s.verbs[name]
	if v == nil {
		return nil, verb.Usagef("not a command: help lists them; !%s runs a local program", ftp.MaskURL(name))
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
				l.send = l.send || v.cli == "mirror"
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

// commandLine returns a verb of the command line, to look up its flags.
func (s *session) commandLine(of string) *cli.Command {
	if s.app == nil {
		s.app = flags.NewApp(&verb.Env{Stdio: s.e.Stdio, Ctx: s.e.Ctx, Verbs: s.e.Verbs})
	}
	return s.app.Command(of)
}

// splitFlags separates flags from arguments, in any order; after -- there are only arguments. A
// flag and its value are separate elements of given.
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

// lineFlag returns a flag of a verb, or an error if a line of the shell can't have it. It returns
// nil for flags that the shell handles itself.
func lineFlag(c *cli.Command, of, name string) (cli.DocGenerationFlag, error) {
	if name == "-h" && flags.Find(c.Flags, "h") == nil || name == "--help" || c.Name == "mirror" && (name == "-R" || name == "--reverse") {
		return nil, nil
	}
	f, ok := flags.Find(c.Flags, strings.TrimLeft(name, "-")).(cli.DocGenerationFlag)
	if !ok {
		return nil, verb.Usagef("unknown flag %s: help %s lists the flags; put -- before a name that begins with a dash", name, of)
	}
	switch long := f.(cli.Flag).Names()[0]; {
	case !connectionFlags[long]:
		return f, nil
	case long == "explain", long == "verbose", long == "active", long == "passive":
		return nil, verb.Usagef("%s is a command in the shell: type %s", name, long)
	}
	return nil, verb.Usagef("%s applies to the whole connection: give it to  miniftp shell", name)
}
