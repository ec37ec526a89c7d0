package flags

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
)

// Words are the values of the flags that take one of a few words. Those of serve are added by
// its table of settings.
var Words = map[string][]string{
	"active":  {"extended", "classic"},
	"algo":    {"SHA-256", "SHA-512", "SHA-1", "MD5", "CRC32"},
	"links":   {"skip", "follow", "copy"},
	"mode":    {"auto", "stream", "block", "deflate"},
	"passive": {"extended", "classic"},
	"perm":    {"ro", "rw", "drop"},
	"sort":    {"name", "size", "time"},
}

// OneOf returns the end of the error for a word that a flag does not take: the words that it takes,
// and the one that may be meant.
func OneOf(flag, word string) string {
	words := Words[flag]
	last := len(words) - 1
	return "it is " + strings.Join(words[:last], ", ") + " or " + words[last] + verb.DidYouMean(verb.Nearest(word, words))
}

// VerbNames returns the names of verbs.
func VerbNames(verbs []*cli.Command) (all []string) {
	for _, v := range verbs {
		all = append(all, v.Name)
	}
	return all
}

// Names returns the long names of flags.
func Names[T interface{ Names() []string }](flags []T) []string {
	var all []string
	for _, f := range flags {
		all = append(all, f.Names()[0])
	}
	return slices.Clip(all)
}
