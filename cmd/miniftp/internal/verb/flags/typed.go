package flags

import (
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
)

// asTyped rewrites a command line for package cli, which knows neither clusters of short
// flags that end in a value (-lj4) nor an -h that is not the help flag. It looks no further
// than the first argument of the verb. A cluster that holds an unknown flag is an error
// that quotes the cluster.
func asTyped(app *cli.App, args []string) ([]string, error) {
	verbs, at := app.Commands, 1
	var found *cli.Command
	path := ""
	for at < len(args) {
		next := FindVerb(verbs, args[at])
		if next == nil {
			break
		}
		found, verbs, at = next, next.Subcommands, at+1
		path = strings.TrimSpace(path + " " + next.Name)
	}
	if found == nil {
		return args, nil
	}
	all := append([]string(nil), args[:at]...)
	if len(args) == at+1 && args[at] == "-h" {
		return append(all, "--help"), nil // help, even for a verb that has a flag -h
	}
	for ; at < len(args); at++ {
		word := args[at]
		if word == "--" || len(word) < 2 || word[0] != '-' {
			break
		}
		flags, wants, err := SplitCluster(word, func(name string) (cli.DocGenerationFlag, error) {
			return clusterFlag(found, path, word, name)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, flags...)
		if wants && at+1 < len(args) {
			at++
			all = append(all, args[at])
		}
	}
	return append(all, args[at:]...), nil
}

// clusterFlag finds a flag of a verb. One that is unknown is an error only as part of a
// cluster: cli reports the others.
func clusterFlag(found *cli.Command, path, word, name string) (cli.DocGenerationFlag, error) {
	f, ok := Find(found.Flags, strings.TrimLeft(name, "-")).(cli.DocGenerationFlag)
	switch {
	case ok || name == word || strings.HasPrefix(word, name+"="):
		return f, nil
	case name == "-h":
		return nil, verb.Usagef("-h in %s: it shows the help only without arguments: miniftp %s --help", word, path)
	}
	return nil, noSuchFlag(path, word, name, found.Flags)
}

// noSuchFlag is the error for an unknown flag in a word of the command line.
func noSuchFlag(path, word, name string, flags []cli.Flag) error {
	hint := verb.DidYouMean(nearestFlag(strings.TrimLeft(word, "-"), flags))
	if hint == "" && word != name {
		hint = " (" + name + " is unknown)"
	}
	return verb.Usagef("miniftp %s has no flag %s%s: miniftp %s --help=all lists them; write -- before a name that begins with a dash", path, verb.MaskFlag(word), hint, path)
}

// SplitCluster splits one word of flags, such as --sort=size, -lR or -j4. wants reports
// whether the value of the last flag is the next word. find returns a flag by its name with
// dashes; nil is one without a value.
func SplitCluster(word string, find func(name string) (cli.DocGenerationFlag, error)) (flags []string, wants bool, err error) {
	name, _, hasValue := strings.Cut(word, "=")
	whole := strings.HasPrefix(word, "--") || len(name) == 2
	if !whole { // package flag takes one dash for a long name, too
		if f, err := find(name); err == nil && f != nil {
			whole = true
		}
	}
	if whole {
		f, err := find(name)
		return []string{word}, err == nil && !hasValue && WantsValue(f), err
	}
	for i := 1; i < len(word); i++ {
		letter := "-" + word[i:i+1]
		f, err := find(letter)
		if err != nil {
			return nil, false, err
		}
		flags = append(flags, letter)
		if !WantsValue(f) {
			continue
		}
		if i+1 == len(word) {
			return flags, true, nil
		}
		return append(flags, strings.TrimPrefix(word[i+1:], "=")), false, nil
	}
	return flags, false, nil
}

// WantsValue reports whether the word after a flag is its value.
func WantsValue(f cli.DocGenerationFlag) bool {
	if g, ok := f.(*cli.GenericFlag); ok {
		if b, ok := g.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
			return false
		}
	}
	return f != nil && f.TakesValue()
}

// FindVerb returns the verb of that name; nil if there is none.
func FindVerb(verbs []*cli.Command, name string) *cli.Command {
	for _, v := range verbs {
		if v.HasName(name) {
			return v
		}
	}
	return nil
}
