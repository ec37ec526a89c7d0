package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each shell takes its script, and completes verbs, flags and what flags take.
func TestCompletion(t *testing.T) {
	for shell, tt := range map[string]struct {
		run  string
		want []string
	}{
		"bash": {
			`source "$1"
try() { COMP_WORDS=(miniftp "$@"); COMP_CWORD=$#; compopt() { :; }; _miniftp; echo "$*: ${COMPREPLY[*]}"; }
try m; try get --re; try config ''; try get --rate ''; complete -p miniftp`,
			[]string{"m: mirror mkdir mv man\n", "get --re: --resume --recursive --retries --record\n", "config : check show\n", "get --rate : \n", "-F _miniftp miniftp\n"},
		},
		"zsh": {
			`autoload -U compinit; compinit -u -D; source "$1"; echo "$_comps[miniftp]"
_arguments() { print -rl -- "$@" }; _describe() { print -rl -- $verbs }
words=(miniftp ''); CURRENT=2; _miniftp; words=(miniftp get -); CURRENT=3; _miniftp`,
			[]string{"_miniftp\n", "\nget:fetch files\n", "\n(-c)--resume[go on where an earlier try stopped]\n", "\n*--ca-cert[", "]:FILE:_files\n"},
		},
		"fish": {
			`source $argv[1]; complete -C "miniftp mi"; complete -C "miniftp get --resu"; complete -C "miniftp completion "`,
			[]string{"mirror\t", "--resume\tgo on where an earlier try stopped\n", "fish\n"},
		},
	} {
		t.Run(shell, func(t *testing.T) {
			program := stockProgram(t, shell)
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
	if code, _, _ := try(t, "completion", "tcsh"); code != exitUsage {
		t.Errorf("tcsh: exit %d", code)
	}
}

// The manual page is one that its checker has nothing against, and names every verb and
// every flag.
func TestManPage(t *testing.T) {
	code, page, errs := try(t, "man")
	if code != 0 {
		t.Fatalf("exit %d, %s", code, errs)
	}
	file := filepath.Join(t.TempDir(), "miniftp.1")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	mandoc := stockProgram(t, "mandoc")
	out, _ := exec.Command(mandoc, "-Tlint", "-Wwarning", file).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "missing date") { // a program is not built on a day
			t.Error(line)
		}
	}
	for _, c := range newApp(&env{}).Commands {
		if !strings.Contains(page, ".SS miniftp "+c.Name) {
			t.Errorf("nothing about %s", c.Name)
		}
		for _, f := range c.Flags {
			if name := roffText(dashed(f.Names()[0])); !strings.Contains(page, "\\fB"+name+"\\fR") {
				t.Errorf("%s: nothing about %s", c.Name, name)
			}
		}
	}
}
