package main

import (
	"fmt"
	"testing"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// TestVariables: an environment variable has the same kind of value in all verbs that have the
// flag. Flags that delete or overwrite have none.
func TestVariables(t *testing.T) {
	words := map[string]bool{"MINIFTP_USER": true, "MINIFTP_TLS": true, "MINIFTP_EXPLAIN": true} // every verb accepts the values of the others
	kinds := map[string]string{}
	var look func(verbs []*cli.Command)
	look = func(verbs []*cli.Command) {
		for _, c := range verbs {
			look(c.Subcommands)
			for _, f := range c.Flags {
				d, ok := f.(cli.DocGenerationFlag)
				if !ok {
					t.Fatalf("%s %v has no help", c.Name, f.Names())
				}
				what, _ := flags.Placeholder(d.GetUsage())
				kind := fmt.Sprintf("%T %s", f, what)
				for _, v := range d.GetEnvVars() {
					if old, known := kinds[v]; known && old != kind && !words[v] {
						t.Errorf("%s is %s, and in %s %s", v, old, c.Name, kind)
					}
					kinds[v] = kind
				}
			}
		}
	}
	look(flags.NewApp(&verb.Env{Verbs: verbs, Ctx: t.Context()}).Commands)
	for _, v := range []string{"MINIFTP_DELETE", "MINIFTP_FORCE"} {
		if kinds[v] != "" {
			t.Errorf("%s is a variable", v)
		}
	}
	if kinds["MINIFTP_PORT"] == "" || kinds["MINIFTP_HUMAN"] == "" {
		t.Errorf("missing: %v", kinds)
	}
}
