package flags

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp"
)

const (
	// HelpWidth is the width of the help in columns.
	HelpWidth = 80
	// HelpColumn is the column in which the description of a flag begins.
	HelpColumn = 26
)

// examplesBelow separates the two halves of a description.
const examplesBelow = "\n\nExamples:\n"

// Examples returns the description of a verb: about, followed by the example lines.
func Examples(about string, lines ...string) string {
	return about + examplesBelow + "  " + strings.Join(lines, "\n  ")
}

// SplitDescription is the inverse of Examples: it returns the two halves of a description.
func SplitDescription(text string) (about, examples string) {
	about, examples, _ = strings.Cut(text, examplesBelow)
	return about, examples
}

// verbHelp returns the help of a verb: with the flags that matter most or, if whole is set, with
// all of them. path is the name of the verb after "miniftp".
func verbHelp(c *cli.Command, path string, whole bool) string {
	about, lines := SplitDescription(c.Description)
	var b strings.Builder
	usage := strings.TrimRight(fmt.Sprintf("miniftp %s [flags] %s", path, c.ArgsUsage), " ")
	fmt.Fprintf(&b, "miniftp %s - %s\n\nUsage:\n  %s\n\n%s\n\n", path, c.Usage, usage, paragraphs(about))
	if len(c.Subcommands) > 0 {
		b.WriteString("Verbs:\n")
		for _, sub := range c.Subcommands {
			fmt.Fprintf(&b, "  %-8s %s\n", sub.Name, sub.Usage)
		}
		b.WriteString("\n")
	}
	all := Sections(c)
	shown := all
	if !whole {
		shown = inShortHelp(all, path)
	}
	more := flagCount(all) - flagCount(shown)
	for i, group := range shown {
		fmt.Fprintf(&b, "%s:\n", group.Title)
		for _, f := range group.Flags {
			b.WriteString(Help(f))
		}
		if i == 0 {
			about := "show this help"
			if more > 0 {
				about = fmt.Sprintf("show this help; --help=all shows %d more flags", more)
			}
			fmt.Fprintf(&b, "%-*s%s\n", HelpColumn, "  -h, --help", about)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Examples:\n%s\n", lines)
	return b.String()
}

// appHelp returns the help of the program.
func appHelp(app *cli.App) string {
	about, lines := SplitDescription(app.Description)
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\nUsage:\n  miniftp VERB [flags] [arguments]\n\nVerbs:\n", app.Name, app.Usage)
	for _, c := range app.Commands {
		fmt.Fprintf(&b, "  %-10s %s\n", c.Name, c.Usage)
	}
	fmt.Fprintf(&b, "\nFlags:\n  %-12s show this help; miniftp VERB --help shows that of a verb\n  %-12s print the version\n", "-h, --help", "--version")
	fmt.Fprintf(&b, "\n%s\n%s\n", paragraphs(about), lines)
	return b.String()
}

// helpWord reports whether a word of the command line asks for help.
func helpWord(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	return name == "-h" || name == "--help" || name == "-help"
}

// helpAsked prints the help of a verb if the command line asks for nothing else. If it also names
// something to work on, helpAsked returns an error, because the work would not be done. path is
// empty for the help of the program.
func helpAsked(e *verb.Env, app *cli.App, path string) error {
	at := slices.IndexFunc(e.Raw, helpWord)
	if at < 0 {
		return showHelp(e, app, strings.Fields(path), false)
	}
	_, how, _ := strings.Cut(e.Raw[at], "=")
	if how != "" && how != "all" {
		return verb.Usagef("%s: write --help, or --help=all for all flags", verb.MaskFlag(e.Raw[at]))
	}
	rest := slices.DeleteFunc(slices.Clone(e.Raw[at+1:]), func(a string) bool { return strings.HasPrefix(a, "-") })
	if path == "" && len(rest) == 1 && app.Command(rest[0]) != nil {
		path, rest = rest[0], nil
	}
	if len(rest) > 0 {
		return helpBeside(e.Raw[at], path)
	}
	return showHelp(e, app, strings.Fields(path), how == "all")
}

func helpBeside(word, path string) error {
	return verb.Usagef("%s shows the help only without arguments: %s", word, strings.Join(strings.Fields("miniftp "+path+" --help"), " "))
}

// showHelp prints the help of the verb at path, or that of the program if path is empty.
func showHelp(e *verb.Env, app *cli.App, path []string, whole bool) error {
	text := ""
	verbs := app.Commands
	for i, name := range path {
		n := slices.IndexFunc(verbs, func(c *cli.Command) bool { return c.HasName(name) })
		if n < 0 {
			return NoSuchVerb(name, verbs)
		}
		text = verbHelp(verbs[n], strings.Join(path[:i+1], " "), whole)
		verbs = verbs[n].Subcommands
	}
	if len(path) == 0 {
		text = appHelp(app)
		for _, c := range app.Commands {
			if whole {
				text += "\n" + verbHelp(c, c.Name, true)
			}
		}
	}
	_, err := io.WriteString(e.Out, text)
	return err
}

// NoSuchVerb returns the error for a word that is not one of verbs.
func NoSuchVerb(word string, verbs []*cli.Command) error {
	return verb.Usagef("%q is not a verb of miniftp%s: miniftp --help lists them", ftp.MaskURL(word), verb.DidYouMean(verb.Nearest(word, VerbNames(verbs))))
}

// paragraphs wraps the long lines of a text, except those of a table, which are indented.
func paragraphs(text string) string {
	var all []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "  ") { // a table
			all = append(all, line)
			continue
		}
		all = append(all, term.Wrap(line, HelpWidth)...)
	}
	return strings.Join(all, "\n")
}

// Help returns the help of one flag: its names, what it does, its default and its environment
// variable.
func Help(flag cli.Flag) string {
	f, ok := flag.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	what, usage := Placeholder(f.GetUsage())
	names := flag.Names()
	var dashes []string
	for i := len(names) - 1; i >= 0; i-- {
		dashes = append(dashes, Dashed(names[i]))
	}
	head := "  " + strings.Join(dashes, ", ") + ValueHelp(f, what)
	lines := term.Wrap(usage, HelpWidth-HelpColumn)
	units := []string{"(default: " + strings.Trim(f.GetDefaultText(), `"`) + ")"}
	if vars := f.GetEnvVars(); len(vars) > 0 {
		units = append(units, "[$"+strings.Join(vars, ", $")+"]")
	}
	for _, unit := range units {
		if last := &lines[len(lines)-1]; term.Cells(*last)+1+term.Cells(unit) <= HelpWidth-HelpColumn {
			*last += " " + unit
		} else {
			lines = append(lines, term.Wrap(unit, HelpWidth-HelpColumn)...)
		}
	}
	var b strings.Builder
	if len(head)+2 > HelpColumn {
		b.WriteString(head + "\n")
		head = ""
	}
	for _, line := range lines {
		fmt.Fprintf(&b, "%-*s%s\n", HelpColumn, head, line)
		head = ""
	}
	return b.String()
}

// ValueHelp returns how the help shows the value of a flag, after its names.
func ValueHelp(f cli.DocGenerationFlag, what string) string {
	switch {
	case WantsValue(f):
		return " " + what
	case what != "": // the value is optional
		return "[=" + what + "]"
	}
	return ""
}

// Placeholder returns the word in backquotes in a usage text, which names the flag's value, and the
// text without the backquotes.
func Placeholder(usage string) (what, plain string) {
	before, rest, ok := strings.Cut(usage, "`")
	what, after, closed := strings.Cut(rest, "`")
	if !ok || !closed {
		return "", usage
	}
	return what, before + what + after
}

// Section is a group of flags in the help.
type Section struct {
	Title string
	Flags []cli.Flag
}

// shortHelp lists, by verb, the flags that --help shows without =all. The list under "" is for the
// other verbs, which also show all flags of their own.
var shortHelp = map[string][]string{
	"":       {"user", "tls", "active", "timeout", "explain", "verbose", "json"},
	"serve":  {"config", "user", "port", "listen", "anonymous", "passive-ports", "public-ip", "max-sessions", "tls", "tls-cert", "tls-self-signed", "verbose", "explain"},
	"mirror": {"delete", "dry-run", "include", "exclude", "newer", "parallel", "user", "tls", "active", "explain", "verbose"},
	"get":    {"resume", "recursive", "parallel", "rate", "user", "tls", "active", "timeout", "explain", "verbose"},
	"put":    {"resume", "recursive", "parallel", "rate", "user", "tls", "active", "timeout", "explain", "verbose"},
	"ls":     {"long", "all", "recursive", "human", "sort", "by-time", "reverse", "json", "user", "tls", "verbose"},
	"bench":  {"only", "time", "count", "size", "yes", "user", "tls", "active", "json"},
}

// Sections returns the flags of a verb by help section. The first section holds the flags without
// one.
func Sections(c *cli.Command) []Section {
	all := []Section{{Title: "Flags"}}
	for _, f := range c.Flags {
		title := all[0].Title
		if f, ok := f.(cli.CategorizableFlag); ok && f.GetCategory() != "" {
			title = f.GetCategory()
		}
		at := slices.IndexFunc(all, func(s Section) bool { return s.Title == title })
		if at < 0 {
			at, all = len(all), append(all, Section{Title: title})
		}
		all[at].Flags = append(all[at].Flags, f)
	}
	return all
}

// Categorize puts flags into a section of the help and returns them.
func Categorize(title string, flags ...cli.Flag) []cli.Flag {
	for _, f := range flags {
		if _, category := attributes(f); category != nil {
			*category = title
		}
	}
	return flags
}

// inShortHelp returns the sections with only the flags in shortHelp.
func inShortHelp(all []Section, path string) (some []Section) {
	verb, _, _ := strings.Cut(strings.Replace(path, "config show", "serve", 1), " ")
	names, own := shortHelp[verb]
	if !own {
		names = shortHelp[""]
	}
	for i, group := range all {
		one := Section{Title: group.Title}
		for _, f := range group.Flags {
			if i == 0 && !own || slices.Contains(names, f.Names()[0]) {
				one.Flags = append(one.Flags, f)
			}
		}
		if i == 0 || one.Flags != nil {
			some = append(some, one)
		}
	}
	return some
}

func flagCount(groups []Section) (n int) {
	for _, g := range groups {
		n += len(g.Flags)
	}
	return n
}
