package flags

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
)

// asTyped rewrites a command line for package cli, which supports neither clusters of short flags
// that end in a value (-lj4) nor a flag -h other than help. It stops at the first argument of the
// verb. A cluster that holds an unknown flag is an error that quotes the whole cluster.
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

// clusterFlag finds a flag of a verb. An unknown flag is an error only if it is part of a cluster:
// cli reports the others.
func clusterFlag(found *cli.Command, path, word, name string) (cli.DocGenerationFlag, error) {
	f, ok := Find(found.Flags, strings.TrimLeft(name, "-")).(cli.DocGenerationFlag)
	switch {
	case ok || name == word || strings.HasPrefix(word, name+"="):
		return f, nil
	case name == "-h":
		return nil, verb.Usagef("-h in %s: -h shows the help only without arguments: miniftp %s --help", word, path)
	}
	return nil, noSuchFlag(path, word, name, found.Flags)
}

// noSuchFlag returns the error for the unknown flag name in word, a word of the command line. It
// never shows a value: the unknown flag may be meant to take a password.
func noSuchFlag(path, word, name string, flags []cli.Flag) error {
	shown, _, _ := strings.Cut(word, "=")
	if user, _, ok := strings.Cut(shown, ":"); ok { // -ualice:secret
		shown = user + ":****"
	}
	if name == "-p" && strings.HasPrefix(word, name) { // -psecret, as mysql takes it
		shown = name
	}
	bare := strings.TrimLeft(shown, "-")
	if slices.Contains(passwordFlags, bare) && Find(flags, "password-file") != nil {
		return verb.Usagef("unknown flag %s: give the password in a file (--password-file FILE), in the URL, or in MINIFTP_PASSWORD", shown)
	}
	hint := verb.DidYouMean(nearestFlag(bare, flags))
	if hint == "" && shown != name {
		hint = " (" + name + " is unknown)"
	}
	return verb.Usagef("unknown flag %s%s: miniftp %s --help=all lists the flags; put -- before a name that begins with a dash", shown, hint, path)
}

// passwordFlags are names that people try for a flag with a password. No flag of a client takes one,
// because other users can read the command line of a process.
var passwordFlags = []string{"pass", "passwd", "password", "pw", "pwd"}

// SplitCluster splits one word of flags, such as --sort=size, -lR or -j4. wants reports whether the
// next word is the value of the last flag. find returns the flag with the given name, dashes
// included; nil means a flag without a value.
func SplitCluster(word string, find func(name string) (cli.DocGenerationFlag, error)) (flags []string, wants bool, err error) {
	name, _, hasValue := strings.Cut(word, "=")
	whole := strings.HasPrefix(word, "--") || len(name) == 2
	if !whole { // package flag also accepts a long name with one dash
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

// FindVerb returns the verb with that name; nil if there is none.
func FindVerb(verbs []*cli.Command, name string) *cli.Command {
	for _, v := range verbs {
		if v.HasName(name) {
			return v
		}
	}
	return nil
}
