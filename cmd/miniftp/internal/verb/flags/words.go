package flags

import (
	"strings"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
)

// Words lists the values of flags that take one of a few words. The settings of serve add theirs.
var Words = map[string][]string{
	"active":  {"extended", "classic"},
	"algo":    {"SHA-256", "SHA-512", "SHA-1", "MD5", "CRC32"},
	"links":   {"skip", "follow", "copy"},
	"mode":    {"auto", "stream", "block", "deflate"},
	"passive": {"extended", "classic"},
	"perm":    {"ro", "rw", "drop"},
	"sort":    {"name", "size", "time"},
}

// OneOf returns the end of an error about a word that a flag does not accept: the words that it
// accepts, and the one that was probably meant.
func OneOf(flag, word string) string {
	words := Words[flag]
	last := len(words) - 1
	return "must be " + strings.Join(words[:last], ", ") + " or " + words[last] + verb.DidYouMean(verb.Nearest(word, words))
}

// VerbNames returns the names of verbs.
func VerbNames(verbs []*cli.Command) (all []string) {
	for _, v := range verbs {
		all = append(all, v.Name)
	}
	return all
}
