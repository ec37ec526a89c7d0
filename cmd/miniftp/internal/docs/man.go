// Package docs implements the verbs man and completion. The manual page and the scripts are made from the
// verbs and flags of the program.
package docs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/connect"
	"miniftp/cmd/miniftp/internal/term"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// Man returns the verb man.
func Man(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "man", Usage: "print the manual page", ArgsUsage: "[VERB]",
		Description: flags.Examples("Prints the manual page miniftp(1) in the format of man; with VERB, the page about that verb.",
			"miniftp man > miniftp.1",
			"miniftp man get | man -l - | cat"),
		Action: func(c *cli.Context) error {
			page := manPage(c.App)
			if c.NArg() > 0 {
				verb, verbs := (*cli.Command)(nil), c.App.Commands
				for _, name := range c.Args().Slice() {
					if verb = flags.FindVerb(verbs, name); verb == nil {
						return flags.NoSuchVerb(name, verbs)
					}
					verbs = verb.Subcommands
				}
				page = verbPage(c.App, verb, strings.Join(c.Args().Slice(), " "))
			}
			_, err := fmt.Fprint(e.Out, page)
			return err
		},
	}
}

// verbPage returns the page about a verb. path is its name, such as "config check".
func verbPage(app *cli.App, c *cli.Command, path string) string {
	var b roff
	name := roffText("miniftp-" + strings.ReplaceAll(path, " ", "-"))
	b.line(".TH %s 1 \"\" \"%s %s\"", strings.ToUpper(name), app.Name, roffText(app.Version))
	b.section("NAME")
	b.line("%s \\- %s", name, roffText(c.Usage))
	b.section("SYNOPSIS")
	b.line(".B %s %s\n%s", app.Name, roffText(path), roffText(strings.TrimSpace("[flags] "+c.ArgsUsage)))
	about, lines := flags.SplitDescription(c.Description)
	b.section("DESCRIPTION")
	b.text(about)
	for _, group := range flags.Sections(c) {
		if len(group.Flags) == 0 {
			continue
		}
		if group.Title == "Flags" {
			b.section("FLAGS")
		} else {
			b.section(strings.ToUpper(roffText(group.Title)))
		}
		b.flags(group.Flags)
	}
	if len(c.Subcommands) > 0 {
		b.section("VERBS")
		for _, sub := range c.Subcommands {
			b.verb(sub, path+" "+sub.Name)
		}
	}
	b.section("EXAMPLES")
	b.examples(lines)
	b.exits()
	b.section("SEE ALSO")
	b.line(".BR miniftp (1)")
	return b.String()
}

// manPage returns miniftp(1).
func manPage(app *cli.App) string {
	var b roff
	b.line(".TH MINIFTP 1 \"\" \"%s %s\"", app.Name, roffText(app.Version))
	b.section("NAME")
	b.line("%s \\- %s", app.Name, roffText(app.Usage))
	b.section("SYNOPSIS")
	for i, c := range app.Commands {
		if i > 0 {
			b.line(".br")
		}
		b.line(".B %s %s\n%s", app.Name, c.Name, roffText(strings.TrimSpace("[flags] "+c.ArgsUsage)))
	}
	about, lines := flags.SplitDescription(app.Description)
	b.section("DESCRIPTION")
	b.text("A URL is ftp://host/path, ftpes://host/path for TLS by AUTH TLS, or ftps://host/path for TLS from the first byte. " +
		"It may have user:password@ before the host. A path is relative to the login directory; a leading %2F makes it absolute. " +
		"Flags come before arguments. Data goes to standard output, everything else to standard error.")
	b.text(about)
	b.examples(lines)
	b.section("VERBS")
	for _, c := range app.Commands {
		b.verb(c, c.Name)
	}
	b.section("CLIENT FLAGS")
	b.text("Every verb that takes a URL has these flags.")
	b.flags(connect.Flags())
	b.exits()
	b.section("ENVIRONMENT")
	b.text("Each flag has a variable, except those that delete or overwrite. Its name is MINIFTP_ and the flag in capitals; the flags name it. Flags override environment variables, which override a configuration file.")
	for _, v := range [][2]string{
		{"MINIFTP_PASSWORD", "the password, if the URL has none"},
		{"NETRC", "the file with logins, instead of ~/.netrc"},
		{"ALL_PROXY, NO_PROXY", "the proxy, and the hosts to connect to without it"},
		{"NO_COLOR", "if set, the output has no colours and no bold text"},
	} {
		b.line(".TP\n.B %s\n%s", roffText(v[0]), roffText(v[1]))
	}
	b.section("STANDARDS")
	b.text("RFC 959, 1123, 2228, 2389, 2428, 2577, 2640, 3659, 4217 and 7151.")
	return b.String()
}

// roff builds the source of a page.
type roff struct {
	strings.Builder
	fresh bool // the last line was a heading
}

func (b *roff) line(format string, args ...any) {
	fmt.Fprintf(b, format+"\n", args...)
	b.fresh = false
}

func (b *roff) section(name string) {
	b.line(".SH %s", name)
	b.fresh = true
}

func (b *roff) text(s string) {
	if s == "" {
		return
	}
	for line := range strings.SplitSeq(s, "\n") {
		if !b.fresh && !strings.HasPrefix(line, "  ") {
			b.line(".PP")
		}
		b.line("%s", roffText(line))
	}
}

func (b *roff) examples(lines string) {
	b.line(".PP\n.RS 4\n.nf")
	for line := range strings.Lines(lines) {
		b.line("%s", roffText(strings.TrimSpace(line)))
	}
	b.line(".fi\n.RE")
}

// verb writes the part about a verb. path is its name, such as "config check".
func (b *roff) verb(c *cli.Command, path string) {
	about, lines := flags.SplitDescription(c.Description)
	b.line(".SS %s", roffText(strings.TrimSpace("miniftp "+path+" [flags] "+c.ArgsUsage)))
	b.fresh = true
	b.text(about)
	own := slices.DeleteFunc(slices.Clone(c.Flags), isClientFlag)
	b.flags(own)
	if len(own) < len(c.Flags) {
		b.text("It also has the client flags below.")
	}
	b.examples(lines)
	for _, sub := range c.Subcommands {
		b.verb(sub, path+" "+sub.Name)
	}
}

// isClientFlag reports whether a flag is one of those that connect.Flags adds.
func isClientFlag(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	same, found := flags.Find(connect.Flags(), f.Names()[0]).(cli.DocGenerationFlag)
	return ok && found && same.GetUsage() == d.GetUsage()
}

// exits writes the section about exit codes.
func (b *roff) exits() {
	b.section("EXIT STATUS")
	for _, x := range verb.ExitMeanings {
		b.line(".TP\n.B %d\n%s", x.Code, roffText(x.Meaning))
	}
}

func (b *roff) flags(list []cli.Flag) {
	for _, f := range list {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		what, usage := flags.Placeholder(d.GetUsage())
		var names []string
		for _, name := range f.Names() {
			names = append(names, "\\fB"+roffText(flags.Dashed(name))+"\\fR")
		}
		head := strings.Join(names, ", ")
		if value := flags.ValueHelp(d, what); value != "" {
			before, after, _ := strings.Cut(value, what)
			head += roffText(before) + "\\fI" + roffText(what) + "\\fR" + after
		}
		b.line(".TP\n%s\n%s", head, roffText(fmt.Sprintf("%s (default: %s)", usage, strings.Trim(d.GetDefaultText(), `"`))))
	}
}

// roffText returns s so that roff finds no macros and escapes in it, wrapped to the line length that mandoc
// -T lint accepts.
func roffText(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "…", "...").Replace(s)
	lines := []string{s}
	if len(s) > 78 {
		lines = term.Wrap(s, 76)
	}
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
