package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// TestCompletion: each shell accepts its script, and completes verbs, flags and the values of
// flags.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, tt := range map[string]struct {
		run  string
		want []string
	}{
		"bash": {
			`source "$1"
try() { COMP_WORDS=(miniftp "$@"); COMP_CWORD=$#; compopt() { :; }; _miniftp; echo "$*: ${COMPREPLY[*]}"; }
try m; try get --re; try config ''; try man ge; try get --rate ''; try serve --tls ''; try serve --public-ip ''; try ls --sort s; try get --tls ''; try get --passi; try config show --tls-c; try config show --sync ""; complete -p miniftp`,
			[]string{"m: mirror mkdir mv man\n", "get --re: --resume --recursive --retries --record\n", "config : check show\n", "man ge: get\n", "get --rate : \n", "serve --tls : off optional required implicit\n", "serve --public-ip : \n", "ls --sort s: size\n", "get --tls : \n", "get --passi: --passive --passive=extended --passive=classic\n", "config show --tls-c: --tls-cert", "config show --sync : off file full\n", "-F _miniftp miniftp\n"},
		},
		"zsh": {
			`autoload -U compinit; compinit -u -D; source "$1"; echo "$_comps[miniftp]"
_arguments() { print -rl -- "$@" }; _describe() { print -rl -- $verbs }
words=(miniftp ''); CURRENT=2; _miniftp; words=(miniftp get -); CURRENT=3; _miniftp`,
			[]string{"_miniftp\n", "\nget:fetch files\n", "\n(-c)--resume[resume where an earlier run stopped, if the file has not changed]\n", "\n*--ca-cert[", "]:FILE:_files\n"},
		},
		"fish": {
			`source $argv[1]; complete -C "miniftp mi"; complete -C "miniftp get --resu"; complete -C "miniftp completion "; complete -C "miniftp get --passive="`,
			[]string{"mirror\t", "--resume\tresume where an earlier run stopped, if the file has not changed\n", "fish\n", "--passive=extended", "--passive=classic"},
		},
	} {
		t.Run(shell, func(t *testing.T) {
			program := verbtest.StockProgram(t, shell)
			code, script, errs := try(t, "completion", shell)
			if code != 0 {
				t.Fatalf("exit %d, %s", code, errs)
			}
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"-c", tt.run, "x", file}
			if shell == "fish" {
				args = []string{"-c", tt.run, file}
			}
			cmd := exec.Command(program, args...)
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, want := range tt.want {
				if !strings.Contains("\n"+string(out), want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
	if code, _, _ := try(t, "completion", "tcsh"); code != verb.ExitUsage {
		t.Errorf("tcsh: exit %d", code)
	}
}

// TestManPage: mandoc has no complaints about the manual page, which describes every verb and flag.
func TestManPage(t *testing.T) {
	code, page, errs := try(t, "man")
	if code != 0 {
		t.Fatalf("exit %d, %s", code, errs)
	}
	file := filepath.Join(t.TempDir(), "miniftp.1")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	mandoc := verbtest.StockProgram(t, "mandoc")
	out, _ := exec.Command(mandoc, "-Tlint", "-Wwarning", file).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "missing date") { // the page has no date, so that builds are reproducible
			t.Error(line)
		}
	}
	for _, c := range flags.NewApp(&verb.Env{Verbs: verbs}).Commands {
		if !strings.Contains(page, ".SS miniftp "+c.Name) {
			t.Errorf("%s is not described", c.Name)
		}
		for _, f := range c.Flags {
			if name := strings.ReplaceAll(flags.Dashed(f.Names()[0]), "-", `\-`); !strings.Contains(page, "\\fB"+name+"\\fR") {
				t.Errorf("%s: %s is not described", c.Name, name)
			}
		}
	}
}

// TestFlagWords: the values offered for a flag are valid, and every flag whose help lists values
// offers them.
func TestFlagWords(t *testing.T) {
	app := flags.NewApp(&verb.Env{Verbs: verbs, Ctx: t.Context()})
	for _, c := range app.Commands {
		for _, f := range c.Flags {
			d, ok := f.(cli.DocGenerationFlag)
			name := f.Names()[0]
			if !ok || !flags.WantsValue(d) {
				continue
			}
			for _, word := range flags.Words[name] {
				if !strings.Contains(d.GetUsage(), word) {
					t.Errorf("%s --%s: the help does not name %q: %s", c.Name, name, word, d.GetUsage())
				}
			}
			if regexp.MustCompile("`[A-Z|a-z]+`: [a-z-]+( \\([^)]*\\))?(, [a-z-]+)+ .*or ").MatchString(d.GetUsage()) && flags.Words[name] == nil {
				t.Errorf("%s --%s offers no words: %s", c.Name, name, d.GetUsage())
			}
		}
	}
	for _, args := range [][]string{
		{"serve", "--tls"},
		{"serve", "--anonymous"},
		{"serve", "--log-level"},
		{"serve", "--log-format"},
		{"serve", "--sync"},
		{"serve", "--tls-session-reuse"},
		{"serve", "--accept-upload"},
		{"ls", "--sort"},
		{"hash", "--algo"},
		{"get", "--mode"},
	} {
		for _, word := range flags.Words[strings.TrimPrefix(args[1], "--")] {
			line := append(slices.Clone(args), word, "--retries=0", "ftp://127.0.0.1:1/x")
			if args[0] == "serve" {
				line = []string{"config", "show", "--user", "a:b", args[1], word}
				if args[1] == "--tls" && word != "off" {
					line = append(line, "--tls-self-signed")
				}
			}
			if code, _, errs := try(t, line...); code == verb.ExitUsage {
				t.Errorf("%v: %s", line, errs)
			}
		}
	}
}

// TestManVerb: each verb has its own manual page.
func TestManVerb(t *testing.T) {
	for _, line := range [][]string{{"man", "get"}, {"man", "config", "check"}, {"man", "serve"}, {"man", "completion"}} {
		code, page, errs := try(t, line...)
		title := `.TH MINIFTP\-` + strings.ToUpper(strings.Join(line[1:], `\-`)) + " 1"
		if code != verb.ExitOK || !strings.HasPrefix(page, title) || !strings.Contains(page, ".SH EXAMPLES") || strings.Contains(page, "CLIENT FLAGS") {
			t.Errorf("%v: exit %d, %s: %.200s", line, code, errs, page)
		}
	}
	if code, _, errs := try(t, "man", "gte"); code != verb.ExitUsage || !strings.Contains(errs, "did you mean get?") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
