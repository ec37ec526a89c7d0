package docs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// Completion returns the verb completion.
func Completion(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "completion", Usage: "print a script that makes a shell complete verbs and flags", ArgsUsage: "bash|zsh|fish",
		Description: flags.Examples("Prints a completion script for the shell. Shells look for it here:\n"+
			"  bash  ~/.local/share/bash-completion/completions/miniftp\n"+
			"  zsh   _miniftp in a directory of $fpath\n"+
			"  fish  ~/.config/fish/completions/miniftp.fish",
			"miniftp completion bash > miniftp.bash",
			"miniftp completion zsh > _miniftp",
			"miniftp completion fish > miniftp.fish"),
		Action: func(c *cli.Context) error {
			script, ok := completions[c.Args().First()]
			if !ok {
				return verb.Usagef("%q: completion supports bash, zsh and fish", c.Args().First())
			}
			_, err := fmt.Fprint(e.Out, script(c.App.Commands))
			return err
		},
	}
}

var completions = map[string]func([]*cli.Command) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}

// completed describes a flag for the completion scripts.
type completed struct {
	dashed []string // its names with dashes, the long one first
	usage  string   // a short description
	value  string   // the placeholder of its value, "" if it takes none
	files  bool     // the value is a file
	words  []string // the allowed values, if there are only some
	maybe  []string // the allowed values of a flag whose value is optional
}

// completedFlags returns the flags of a verb, with --help.
func completedFlags(c *cli.Command) (all []completed) {
	for _, f := range c.Flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		value, usage := flags.Placeholder(d.GetUsage())
		one := completed{usage: firstClause(usage)}
		for _, name := range f.Names() {
			one.dashed = append(one.dashed, flags.Dashed(name))
		}
		if flags.WantsValue(d) {
			one.value = value
			if one.value == "" {
				one.value = "VALUE"
			}
			one.files = value == "FILE"
			one.words = flags.Words[f.Names()[0]]
		} else if value != "" {
			one.maybe = flags.Words[f.Names()[0]]
		}
		all = append(all, one)
	}
	return append(all, completed{dashed: []string{"--help", "-h"}, usage: "show help"})
}

// firstClause returns the beginning of a usage text that is short enough for a menu.
func firstClause(usage string) string {
	for _, end := range []string{": ", "; ", ", such", " ("} {
		usage, _, _ = strings.Cut(usage, end)
	}
	return usage
}

func bashCompletion(verbs []*cli.Command) string {
	var b strings.Builder
	b.WriteString(`# bash completion of miniftp
_miniftp() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= sub= words= i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} != -* ]]; then
            [[ -n $verb ]] && sub=${COMP_WORDS[i]} && break
            verb=${COMP_WORDS[i]}
        fi
    done
    case "$verb $sub" in
`)
	fmt.Fprintf(&b, "    ' ') words='%s --help --version' ;;\n", strings.Join(flags.VerbNames(verbs), " "))
	for _, v := range verbs {
		for _, sub := range v.Subcommands {
			bashVerb(&b, "'"+v.Name+" "+sub.Name+"'", sub, verbs)
		}
		bashVerb(&b, "'"+v.Name+" '*", v, verbs)
	}
	b.WriteString(`    esac
    [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _miniftp miniftp
`)
	return b.String()
}

// bashVerb writes the case for a verb, with the given pattern.
func bashVerb(b *strings.Builder, pattern string, v *cli.Command, verbs []*cli.Command) {
	var free, names []string // the flags with values that can't be completed; all flags
	fmt.Fprintf(b, "    %s)\n        case $prev in\n", pattern)
	for _, f := range completedFlags(v) {
		names = append(names, f.dashed...)
		for _, word := range f.maybe {
			names = append(names, f.dashed[0]+"="+word)
		}
		switch {
		case f.words != nil:
			fmt.Fprintf(b, "        %s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", strings.Join(f.dashed, "|"), strings.Join(f.words, " "))
		case f.files:
			fmt.Fprintf(b, "        %s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", strings.Join(f.dashed, "|"))
		case f.value != "":
			free = append(free, f.dashed...)
		}
	}
	if free != nil {
		fmt.Fprintf(b, "        %s) compopt +o default; return ;;\n", strings.Join(free, "|"))
	}
	b.WriteString("        esac\n")
	fmt.Fprintf(b, "        [[ $cur == -* ]] && words='%s'\n", strings.Join(names, " "))
	if words := argumentWords(v, verbs); words != nil {
		fmt.Fprintf(b, "        [[ $cur == -* ]] || words='%s'\n", strings.Join(words, " "))
	}
	b.WriteString("        ;;\n")
}

// argumentWords returns the words that are allowed as the first argument of a verb, or nil if any is. verbs
// holds all verbs of the program.
func argumentWords(v *cli.Command, verbs []*cli.Command) []string {
	if v.ArgsUsage == "[VERB]" {
		return flags.VerbNames(verbs)
	}
	if len(v.Subcommands) > 0 {
		return flags.VerbNames(v.Subcommands)
	}
	if !strings.Contains(v.ArgsUsage, " ") && strings.Contains(v.ArgsUsage, "|") && strings.ToLower(v.ArgsUsage) == v.ArgsUsage {
		return strings.Split(v.ArgsUsage, "|")
	}
	return nil
}

func zshCompletion(verbs []*cli.Command) string {
	var b strings.Builder
	b.WriteString("#compdef miniftp\n\n_miniftp() {\n    local -a verbs\n    verbs=(\n")
	for _, v := range verbs {
		fmt.Fprintf(&b, "        %s\n", verb.ShellWord(v.Name+":"+firstClause(v.Usage)))
	}
	b.WriteString(`    )
    if (( CURRENT == 2 )); then
        _describe verb verbs
        return
    fi
    local verb=$words[2]
    shift words
    (( CURRENT-- ))
    case $verb in
`)
	colons := strings.NewReplacer(":", `\:`, "[", `\[`, "]", `\]`)
	for _, v := range verbs {
		fmt.Fprintf(&b, "    %s)\n        _arguments -s", v.Name)
		for _, f := range completedFlags(v) {
			value := ""
			switch {
			case f.words != nil:
				value = ":" + f.value + ":(" + strings.Join(f.words, " ") + ")"
			case f.files:
				value = ":" + f.value + ":_files"
			case f.value != "":
				value = ":" + colons.Replace(f.value) + ": "
			}
			for _, word := range f.maybe {
				fmt.Fprintf(&b, " \\\n            %s", verb.ShellWord("*"+f.dashed[0]+"="+word+"["+colons.Replace(f.usage)+"]"))
			}
			for _, name := range f.dashed {
				others := strings.Join(slices.DeleteFunc(slices.Clone(f.dashed), func(s string) bool { return s == name }), " ")
				spec := name + "[" + colons.Replace(f.usage) + "]" + value
				if others != "" {
					spec = "(" + others + ")" + spec
				} else {
					spec = "*" + spec
				}
				fmt.Fprintf(&b, " \\\n            %s", verb.ShellWord(spec))
			}
		}
		if words := argumentWords(v, verbs); words != nil {
			fmt.Fprintf(&b, " \\\n            %s", verb.ShellWord("1:what:("+strings.Join(words, " ")+")"))
		} else {
			fmt.Fprintf(&b, " \\\n            %s", verb.ShellWord("*:"+colons.Replace(strings.ToLower(v.ArgsUsage))+":_files"))
		}
		b.WriteString("\n        ;;\n")
	}
	b.WriteString("    esac\n}\n\nif [[ $funcstack[1] == _miniftp ]]; then\n    _miniftp \"$@\"\nelse\n    compdef _miniftp miniftp\nfi\n")
	return b.String()
}

func fishCompletion(verbs []*cli.Command) string {
	var b strings.Builder
	b.WriteString("# fish completion of miniftp\n")
	b.WriteString("complete -c miniftp -n __fish_use_subcommand -f -l version -d 'print the version'\n")
	for _, v := range verbs {
		fmt.Fprintf(&b, "complete -c miniftp -n __fish_use_subcommand -f -a %s -d %s\n", v.Name, verb.ShellWord(firstClause(v.Usage)))
	}
	for _, v := range verbs {
		when := "-n '__fish_seen_subcommand_from " + v.Name + "'"
		if words := argumentWords(v, verbs); words != nil {
			fmt.Fprintf(&b, "complete -c miniftp %s -f -a %s\n", when, verb.ShellWord(strings.Join(words, " ")))
		}
		for _, f := range completedFlags(v) {
			line := "complete -c miniftp " + when
			for _, name := range f.dashed {
				if long, ok := strings.CutPrefix(name, "--"); ok {
					line += " -l " + long
				} else {
					line += " -s " + name[1:]
				}
			}
			switch {
			case f.words != nil:
				line += " -x -a " + verb.ShellWord(strings.Join(f.words, " "))
			case f.files:
				line += " -r -F"
			case f.value != "":
				line += " -x"
			case f.maybe != nil: // such as --passive=classic, or --passive alone
				line += " -f -a " + verb.ShellWord(strings.Join(f.maybe, " "))
			}
			fmt.Fprintf(&b, "%s -d %s\n", line, verb.ShellWord(f.usage))
		}
	}
	return b.String()
}
