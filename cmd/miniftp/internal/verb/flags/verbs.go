package flags

import (
	"slices"

	"github.com/urfave/cli/v2"
)

func VerbNames(verbs []*cli.Command) (all []string) {
	for _, v := range verbs {
		all = append(all, v.Name)
	}
	return all
}

// Names are the names of flags.
func Names[T interface{ Names() []string }](flags []T) []string {
	var all []string
	for _, f := range flags {
		all = append(all, f.Names()[0])
	}
	return slices.Clip(all)
}
