package flags

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
)

// toy is a verb with one flag of each kind. It prints the values it gets.
func toy(e *verb.Env) *cli.Command {
	return &cli.Command{
		Name: "toy", Usage: "play", ArgsUsage: "FILE...",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "long", Aliases: []string{"l"}, Usage: "more"},
			&cli.BoolFlag{Name: "human", Aliases: []string{"h"}, Usage: "sizes for people"},
			&cli.BoolFlag{Name: "tls", Usage: "protected"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "the wire log"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, EnvVars: NoVariable, Usage: "it deletes"},
			&cli.IntFlag{Name: "parallel", Aliases: []string{"j"}, Usage: "`N` at once"},
			&cli.StringFlag{Name: "user", Usage: "`NAME`"},
			&cli.StringSliceFlag{Name: "include", Usage: "`GLOB`"},
			Duration("timeout", time.Minute, "", "wait for `D`"),
		},
		Description: Examples("It plays.", "miniftp toy a"),
		Subcommands: []*cli.Command{{Name: "sub", Usage: "below", Description: Examples("x", "y"), Action: func(*cli.Context) error { return nil }}},
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintln(e.Out, c.Bool("long"), c.Bool("human"), c.Bool("force"), c.Int("parallel"), c.String("user"), c.StringSlice("include"), c.Duration("timeout"), c.Args().Slice())
			return err
		},
	}
}

// runToy runs a command line, whose words are separated by blanks.
func runToy(t *testing.T, line string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), []verb.Verb{toy}, strings.Fields("miniftp "+line), verb.Stdio{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// TestErrorsInOurWords: errors of package flag and cli about a flag are reworded.
func TestErrorsInOurWords(t *testing.T) {
	for line, want := range map[string]string{
		"toy --lnog a":         "unknown flag --lnog (did you mean --long?)",
		"toy -x a":             "unknown flag -x: miniftp toy --help=all lists the flags",
		"--long toy":           "unknown flag --long: put the verb first",
		"toy --user":           "flag needs an argument: --user NAME",
		"toy -j":               "flag needs an argument: -j N (a whole number)",
		"toy --timeout":        "flag needs an argument: --timeout DURATION",
		"toy ---long":          "---long is not a flag",
		"toy -j many a":        `-j "many": it takes a whole number`,
		"toy --long=so a":      `--long "so": it takes true or false`,
		"toy --timeout soon a": `--timeout "soon": it takes DURATION (500ms, 30s, 5m or plain seconds)`,
		"try":                  `"try" is not a verb of miniftp`,
		"tooy":                 "(did you mean toy?)",
	} {
		if code, out, errs := runToy(t, line); code != verb.ExitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d: %s%s; want %s", line, code, out, errs, want)
		}
	}
	for name, value := range map[string]string{"PARALLEL": "many", "LONG": "so", "TIMEOUT": "soon"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("MINIFTP_"+name, value)
			if code, _, errs := runToy(t, "toy a"); code != verb.ExitUsage || !strings.Contains(errs, "MINIFTP_"+name+`="`+value+`": it takes `) {
				t.Errorf("exit %d: %s", code, errs)
			}
		})
	}
}

// TestAsTyped: clusters are split, up to the first argument, and quoted as typed in errors.
func TestAsTyped(t *testing.T) {
	app := NewApp(&verb.Env{Verbs: []verb.Verb{toy}, Ctx: t.Context()})
	for line, want := range map[string]string{
		"toy -lvh a":           "toy -l -v -h a",
		"toy -lj4 a -lv":       "toy -l -j 4 a -lv",
		"toy -lj=4 a":          "toy -l -j 4 a",
		"toy -j=4 -v=false a":  "toy -j=4 -v=false a",
		"toy -user -lv a":      "toy -user -lv a",
		"toy --user -lv -lv u": "toy --user -lv -l -v u",
		"toy -- -lv":           "toy -- -lv",
		"toy -l - -lv":         "toy -l - -lv",
		"toy --tls -lv u":      "toy --tls -l -v u",
		"toy -h":               "toy --help",
		"toy sub -h":           "toy sub --help",
		"toy -lX u":            "error: unknown flag -lX (-X is unknown)",
		"toy sub -xh u":        "error: unknown flag -xh",
		"-lv toy":              "-lv toy",
		"nosuch -lv":           "nosuch -lv",
	} {
		got, err := asTyped(app, append([]string{"miniftp"}, strings.Fields(line)...))
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

// TestHelpIsOurs: -h and --help print help only if nothing else is requested, -v does not print the
// version, and the help has our format.
func TestHelpIsOurs(t *testing.T) {
	for line, want := range map[string]string{
		"":                  "miniftp VERB [flags] [arguments]",
		"--help":            "miniftp VERB [flags] [arguments]",
		"--help toy":        "miniftp toy [flags] FILE...",
		"toy --help":        "[$MINIFTP_TLS]",
		"toy -h":            "Examples:\n  miniftp toy a",
		"help toy sub":      "miniftp toy sub - below",
		"--version":         "miniftp ",
		"toy -h a":          "false true false",
		"toy -v a":          "false false false",
		"toy --timeout 5 a": " 5s [a]",
	} {
		if code, out, errs := runToy(t, line); code != verb.ExitOK || !strings.Contains(out, want) {
			t.Errorf("%q: exit %d: %s%s; want %s", line, code, out, errs, want)
		}
	}
	for line, want := range map[string]string{
		"toy --help a":    "--help shows the help only without arguments: miniftp toy --help",
		"toy --help=more": "--help=more: write --help, or --help=all for all flags",
		"toy sub -h a":    "-h shows the help only without arguments: miniftp toy sub --help",
	} {
		if code, out, errs := runToy(t, line); code != verb.ExitUsage || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d: %s%s; want %s", line, code, out, errs, want)
		}
	}
}

// TestFlagsComeFirst: a flag after an argument is rejected with a line in the right order, unless
// "--" comes before it.
func TestFlagsComeFirst(t *testing.T) {
	code, out, errs := runToy(t, "toy a -j 4 b")
	if want := "-j comes after the arguments: flags come first, as in  miniftp toy -j 4 a b"; code != verb.ExitUsage || out != "" || !strings.Contains(errs, want) {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if code, out, errs := runToy(t, "toy -- -l a"); code != verb.ExitOK || !strings.Contains(out, "[-l a]") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// TestArgumentCount: ArgsUsage determines how many arguments a verb takes.
func TestArgumentCount(t *testing.T) {
	for usage, want := range map[string]string{
		"": "y", "URL": "ny", "[ROOT]": "yy", "SRC DST": "nny", "URL...": "nyyy", "MODE URL...": "nnyy", "URL... [LOCAL|-]": "nyyy",
		"LOCAL...|- URL": "nnyy", "bash|zsh|fish": "ny", "[VERB]": "yyy",
	} {
		for n := range 5 {
			counted := func(*verb.Env) *cli.Command {
				return &cli.Command{Name: "counted", ArgsUsage: usage, Action: func(*cli.Context) error { return nil }}
			}
			var errs bytes.Buffer
			args := append([]string{"miniftp", "counted"}, slices.Repeat([]string{"x"}, n)...)
			code := Run(t.Context(), []verb.Verb{counted}, args, verb.Stdio{Out: &bytes.Buffer{}, Err: &errs})
			fits := n < len(want) && want[n] == 'y' || n >= len(want) && strings.Contains(usage, "...")
			if fits != (code == verb.ExitOK) || !fits && !strings.Contains(errs.String(), "miniftp counted takes ") {
				t.Errorf("%q with %d arguments: exit %d: %s", usage, n, code, errs.String())
			}
		}
	}
}

// TestCommasStay: a comma is part of a value and does not separate two.
func TestCommasStay(t *testing.T) {
	if code, out, errs := runToy(t, "toy --include a,b --include c x"); code != verb.ExitOK || !strings.Contains(out, "[a,b c]") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// TestNothingStays: a run does not see values set by an earlier one.
func TestNothingStays(t *testing.T) {
	_, first, _ := runToy(t, "toy -lj4 --include x --user u --timeout 5 a")
	if want := "true false false 4 u [x] 5s [a]\n"; first != want {
		t.Errorf("%q, want %q", first, want)
	}
	if _, out, _ := runToy(t, "toy"); out != "false false false 0  [] 1m0s []\n" {
		t.Errorf("%q", out)
	}
}

// TestInherit: the values of one command line are the defaults of another, and take precedence over
// the environment there.
func TestInherit(t *testing.T) {
	t.Setenv("MINIFTP_PARALLEL", "7")
	t.Setenv("MINIFTP_USER", "mallory")
	var out bytes.Buffer
	inner := func(outer *cli.Context) error {
		app := NewApp(&verb.Env{Stdio: verb.Stdio{Out: &out}, Ctx: t.Context(), Verbs: []verb.Verb{toy}})
		for _, f := range app.Command("toy").Flags {
			Inherit(f, outer)
		}
		return app.RunContext(t.Context(), []string{"miniftp", "toy", "--user", "bob", "x"})
	}
	outer := func(e *verb.Env) *cli.Command {
		c := toy(e)
		c.Action = inner
		return c
	}
	var errs bytes.Buffer
	code := Run(t.Context(), []verb.Verb{outer}, strings.Fields("miniftp toy -l -j 3 --user alice --timeout 5 a"), verb.Stdio{Out: &bytes.Buffer{}, Err: &errs})
	if want := "true false false 3 bob [] 5s [x]\n"; code != verb.ExitOK || out.String() != want {
		t.Errorf("exit %d: %q%s, want %q", code, out.String(), errs.String(), want)
	}
}

// TestVariablesOfFlags: each flag has an environment variable, except one that deletes.
func TestVariablesOfFlags(t *testing.T) {
	for name, value := range map[string]string{"LONG": "1", "PARALLEL": "3", "USER": "eve", "INCLUDE": "a,b", "TIMEOUT": "0.5", "FORCE": "1"} {
		t.Setenv("MINIFTP_"+name, value)
	}
	if _, out, errs := runToy(t, "toy"); out != "true false false 3 eve [a,b] 500ms []\n" {
		t.Errorf("%s%s", out, errs)
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"5": 5 * time.Second, "0": 0, "0.5": 500 * time.Millisecond, "-1": -time.Second, "1m30s": 90 * time.Second, " 7 ": 7 * time.Second,
	} {
		if got, err := ParseDuration(s); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "soon", "5 s", "NaN", "inf", "1e30", "0x10", "1_000", "5s5", "true"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "1500": 1500, "500k": 500e3, "1M": 1e6, "1.5MB": 15e5, "2GiB": 2 << 30, "2Gi": 2 << 30, "4KiB": 4096, "3b": 3, "1t": 1e12,
	} {
		if got, err := ParseSize(s, 1000); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "k", "-1", "NaN", "1e3", "1x", "1iB", "i", "1 M", "99999T", "0x10"} {
		if got, err := ParseSize(s, 1000); err == nil {
			t.Errorf("%q: %d", s, got)
		}
	}
}

// FuzzNumbers checks that numbers on the command line are either rejected or within bounds.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"1-2", "40000-40100", "0-1", "9-1", "1.5M", "-1", "1e30G", "NaN", "k", "65536-65537"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ByteRate("--rate", s); err == nil && (n < 0 || n > 1e15) {
			t.Errorf("--rate %q is %d", s, n)
		}
		if r, err := PortRange("--passive-ports", s); err == nil && (r.First > r.Last || s != "" && r.First == 0) {
			t.Errorf("--passive-ports %q is %v", s, r)
		}
	})
}
