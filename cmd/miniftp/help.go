package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

const (
	helpWidth  = 80
	helpColumn = 26 // where the words about a flag begin
)

const examplesBelow = "\n\nExamples:\n"

// examples is the description of a verb; its examples end the help.
func examples(about string, lines ...string) string {
	return about + examplesBelow + "  " + strings.Join(lines, "\n  ")
}

// verbHelp is what --help of a verb prints; path is its name behind "miniftp".
func verbHelp(c *cli.Command, path string) string {
	about, lines, _ := strings.Cut(c.Description, examplesBelow)
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
	b.WriteString("Flags:\n")
	for _, f := range c.Flags {
		if d, ok := f.(cli.DocGenerationFlag); ok {
			b.WriteString(flagHelp(f.Names(), d))
		}
	}
	fmt.Fprintf(&b, "%-*s%s\n\nExamples:\n%s\n", helpColumn, "  -h, --help", "show this", lines)
	return template(b.String())
}

// appHelp is what miniftp --help prints.
func appHelp(app *cli.App) string {
	about, lines, _ := strings.Cut(app.Description, examplesBelow)
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\nUsage:\n  miniftp VERB [flags] [arguments]\n\nVerbs:\n", app.Name, app.Usage)
	for _, c := range app.Commands {
		fmt.Fprintf(&b, "  %-8s %s\n", c.Name, c.Usage)
	}
	fmt.Fprintf(&b, "\nFlags:\n  %-12s show this; miniftp VERB --help tells all about one verb\n  %-12s print the version\n", "-h, --help", "--version")
	fmt.Fprintf(&b, "\n%s\n%s\n", paragraphs(about), lines)
	return template(b.String())
}

// paragraphs breaks each line of a text where it is too long.
func paragraphs(text string) string {
	var all []string
	for line := range strings.SplitSeq(text, "\n") {
		all = append(all, wrap(line, helpWidth)...)
	}
	return strings.Join(all, "\n")
}

// template makes cli's template engine print the text as it is.
func template(text string) string { return strings.ReplaceAll(text, "{{", `{{"{{"}}`) }

// flagHelp is what the help says about one flag: its names, what it does, its
// default and its environment variable.
func flagHelp(names []string, f cli.DocGenerationFlag) string {
	what, usage := placeholder(f.GetUsage())
	var dashes []string
	for i := len(names) - 1; i >= 0; i-- {
		dashes = append(dashes, dashed(names[i]))
	}
	head := "  " + strings.Join(dashes, ", ")
	if f.TakesValue() {
		head += " " + what
	}
	lines := wrap(usage, helpWidth-helpColumn)
	units := []string{"(default: " + strings.Trim(f.GetDefaultText(), `"`) + ")"}
	if vars := f.GetEnvVars(); len(vars) > 0 {
		units = append(units, "[$"+strings.Join(vars, ", $")+"]")
	}
	for _, unit := range units {
		if last := &lines[len(lines)-1]; cells(*last)+1+cells(unit) <= helpWidth-helpColumn {
			*last += " " + unit
		} else {
			lines = append(lines, wrap(unit, helpWidth-helpColumn)...)
		}
	}
	var b strings.Builder
	if len(head)+2 > helpColumn {
		b.WriteString(head + "\n")
		head = ""
	}
	for _, line := range lines {
		fmt.Fprintf(&b, "%-*s%s\n", helpColumn, head, line)
		head = ""
	}
	return b.String()
}

// placeholder finds the word in backquotes that stands for the flag's value, and
// the usage without the quotes.
func placeholder(usage string) (what, plain string) {
	before, rest, ok := strings.Cut(usage, "`")
	what, after, closed := strings.Cut(rest, "`")
	if !ok || !closed {
		return "", usage
	}
	return what, before + what + after
}
