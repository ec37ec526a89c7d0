package flags

import (
	"errors"
	"flag"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

// These match the errors of package flag and of cli about flags.
var (
	unknownFlag = regexp.MustCompile(`^flag provided but not defined: -(.*)$`)
	noValue     = regexp.MustCompile(`^flag needs an argument: -(.*)$`)
	badSyntax   = regexp.MustCompile(`^bad flag syntax: (.*)$`)
	badValue    = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for (?:flag )?-([^ :]+): `)
	badEnv      = regexp.MustCompile(`^could not parse (".*?") (?:as .* )?from environment variable "(.*?)" (?:as value )?for flag ([^ ]+): `)
)

// usageErrors returns a function that rewords errors about the flags of the verb at path. If path
// is empty, the flags are those before the verb.
func usageErrors(e *verb.Env, path string, flags []cli.Flag) cli.OnUsageErrorFunc {
	return func(c *cli.Context, err error, _ bool) error {
		if errors.Is(err, flag.ErrHelp) {
			return helpAsked(e, c.App, path)
		}
		text := err.Error()
		if m := unknownFlag.FindStringSubmatch(text); m != nil && path == "" {
			return verb.Usagef("unknown flag %s: put the verb first, then its flags, as in  miniftp get --verbose URL", typed(e, m[1]))
		} else if m != nil {
			word := typed(e, m[1])
			return noSuchFlag(path, word, word, flags)
		}
		if m := noValue.FindStringSubmatch(text); m != nil {
			return MissingValue(Dashed(m[1]), flags)
		}
		if m := badSyntax.FindStringSubmatch(text); m != nil {
			return verb.Usagef("%s is not a flag", ftp.MaskURL(m[1]))
		}
		if m := badValue.FindStringSubmatch(text); m != nil {
			return verb.Usagef("%s %s: it takes %s", Dashed(m[2]), m[1], wanted(flags, m[2]))
		}
		if m := badEnv.FindStringSubmatch(text); m != nil {
			return verb.Usagef("%s=%s: it takes %s", m[2], m[1], wanted(flags, m[3]))
		}
		return verb.Usagef("%s", text)
	}
}

// typed returns a flag as it was typed: with one dash or two.
func typed(e *verb.Env, name string) string {
	for _, a := range e.Raw {
		if word, _, _ := strings.Cut(a, "="); strings.TrimLeft(word, "-") == name && word != name {
			return word
		}
	}
	return Dashed(name)
}

// nearestFlag returns the long flag that a mistyped one may mean, or "".
func nearestFlag(name string, flags []cli.Flag) string {
	if len(name) < 3 {
		return "" // a letter or a cluster
	}
	var names []string
	for _, f := range flags {
		names = append(names, f.Names()[0])
	}
	if near := verb.Nearest(name, names); near != "" {
		return Dashed(near)
	}
	return ""
}

// Dashed returns the name of a flag as it is typed: -j or --parallel.
func Dashed(flag string) string {
	if len(flag) == 1 {
		return "-" + flag
	}
	return "--" + flag
}

// wanted describes the value that a flag takes.
func wanted(flags []cli.Flag, name string) string {
	switch f := Find(flags, name).(type) {
	case *cli.BoolFlag:
		return "true or false"
	case *cli.IntFlag:
		return "a whole number"
	case *cli.GenericFlag:
		if v, ok := f.Value.(interface{ Takes() string }); ok {
			return v.Takes()
		}
	case *DurationFlag:
		return "DURATION (500ms, 30s, 5m or plain seconds)"
	case cli.DocGenerationFlag:
		if what, _ := Placeholder(f.GetUsage()); what != "" {
			return what
		}
	}
	return "a value"
}

// MissingValue returns the error for a flag, with its dashes, that lacks its value.
func MissingValue(flag string, flags []cli.Flag) error {
	name := strings.TrimLeft(flag, "-")
	what := wanted(flags, name)
	if f, ok := Find(flags, name).(*cli.IntFlag); ok {
		if n, _ := Placeholder(f.Usage); n != "" {
			what = n + " (" + what + ")"
		}
	}
	return verb.Usagef("flag needs an argument: %s %s", flag, what)
}

// Find returns the flag with that name; nil if there is none.
func Find(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

// checkOrder rejects a flag after an argument, which cli would treat as a file name. After "--"
// every word is an argument. An unknown flag is reported as such: the line that checkOrder suggests
// must work.
func checkOrder(e *verb.Env, c *cli.Context) error {
	args := c.Args().Slice()
	free := 0 // number of arguments after --, which may begin with a dash
	for i, a := range e.Raw {
		if a == "--" {
			free = len(e.Raw) - i - 1
			break
		}
	}
	bound, rest := args[:max(len(args)-free, 0)], args[max(len(args)-free, 0):]
	path := strings.TrimPrefix(c.Command.HelpName, "miniftp ")
	late := ""                           // the first flag after an argument
	line := []string{c.Command.HelpName} // the corrected command line, without words
	var words []string
	for i := 0; i < len(bound); i++ {
		a := bound[i]
		if i == 0 || len(a) < 2 || a[0] != '-' {
			words = append(words, verb.ShellWord(ftp.MaskURL(a)))
			continue
		}
		if late == "" {
			late, _, _ = strings.Cut(a, "=")
		}
		wants, err := lateFlag(c.Command, path, a)
		if err != nil {
			return err
		}
		line = append(line, verb.ShellWord(verb.MaskFlag(a)))
		if wants && i+1 < len(bound) {
			i++
			line = append(line, verb.ShellWord(verb.MaskValue(a, bound[i])))
		}
	}
	if late == "" {
		return nil
	}
	if helpWord(late) && (late != "-h" || Find(c.Command.Flags, "h") == nil) {
		return helpBeside(late, path)
	}
	for _, a := range rest {
		words = append(words, verb.ShellWord(ftp.MaskURL(a)))
	}
	return verb.Usagef("%s comes after the arguments: flags come first, as in  %s", late, strings.Join(append(line, words...), " "))
}

// lateFlag reports whether the next word is the value of a flag, or of a cluster, after the
// arguments. It returns an error if there is no such flag.
func lateFlag(c *cli.Command, path, word string) (wants bool, err error) {
	name, _, _ := strings.Cut(word, "=")
	if word == "--" || helpWord(word) {
		return false, nil
	}
	_, wants, err = SplitCluster(word, func(flag string) (cli.DocGenerationFlag, error) {
		f, err := clusterFlag(c, path, word, flag)
		if err == nil && f == nil && (flag == name && (strings.HasPrefix(name, "--") || len(name) == 2)) {
			err = noSuchFlag(path, name, name, c.Flags)
		}
		return f, err
	})
	return wants, err
}

// checkCount rejects a wrong number of arguments. A verb takes one for each word of its ArgsUsage,
// at most one for a word in brackets, and any number for a word with dots. [VERB] may be two words,
// such as "config show".
func checkCount(c *cli.Context) error {
	takes, name := c.Command.ArgsUsage, c.Command.HelpName
	least, most := 0, 0
	for _, word := range strings.Fields(takes) {
		if most++; word[0] != '[' {
			least++
		}
		if word == "[VERB]" {
			most++
		}
	}
	n := c.NArg()
	switch {
	case n >= least && (n <= most || strings.Contains(takes, "...")), len(c.Command.Subcommands) > 0:
		return nil
	case takes == "":
		return verb.Usagef("%s takes no argument", name)
	}
	return verb.Usagef("%s takes %s; %s --help shows examples", name, takes, name)
}
