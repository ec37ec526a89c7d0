package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// TestAsTyped: clusters are taken apart up to the first argument, and are errors as typed.
func TestAsTyped(t *testing.T) {
	app := flags.NewApp(&verb.Env{Verbs: verbs, Ctx: t.Context()})
	for line, want := range map[string]string{
		"ls -lah ftp://h/":          "ls -l -a -h ftp://h/",
		"ls -lj4 ftp://h/ -lR":      "ls -l -j 4 ftp://h/ -lR",
		"ls -lj=4 ftp://h/":         "ls -l -j 4 ftp://h/",
		"ls -j=4 -v=false ftp://h/": "ls -j=4 -v=false ftp://h/",
		"ls -user -lR ftp://h/":     "ls -user -lR ftp://h/",
		"ls --user -lR -lR u":       "ls --user -lR -l -R u",
		"ls -- -lR":                 "ls -- -lR",
		"ls -l - -la":               "ls -l - -la",
		"ls --tls -lR u":            "ls --tls -l -R u",
		"ls -h":                     "ls --help",
		"get -h":                    "get --help",
		"serve -p2121 .":            "serve -p 2121 .",
		"config check -q f":         "config check -q f",
		"mirror -nq a b":            "mirror -n -q a b",
		"ls -lX u":                  "error: ls has no flag -lX (-X is unknown)",
		"rm -rh u":                  "error: -h in -rh",
		"config show -pX":           "config show -p X",
		"-lR ls":                    "-lR ls",
		"nosuch -lR":                "nosuch -lR",
	} {
		args := append([]string{"miniftp"}, strings.Fields(line)...)
		got, err := flags.AsTyped(app, args)
		if message, fails := strings.CutPrefix(want, "error: "); fails {
			if err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("%s: %q, %v; want the error %s", line, got, err, message)
			}
			continue
		}
		if want := append([]string{"miniftp"}, strings.Fields(want)...); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
}

// TestVariables: an environment variable is one kind of value in all verbs that have the
// flag, and no flag that deletes or overwrites has one.
func TestVariables(t *testing.T) {
	words := map[string]bool{"MINIFTP_USER": true, "MINIFTP_TLS": true, "MINIFTP_EXPLAIN": true} // each verb understands the words of all
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
