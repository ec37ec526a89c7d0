package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/ftptest"
)

var dataVerb = regexp.MustCompile(`> (EPSV|PASV|EPRT|PORT)`)

// TestDataVerbs: --passive and --active may have a value that names the commands for data
// connections. They never treat the next word as their value.
func TestDataVerbs(t *testing.T) {
	for flag, want := range map[string]string{
		"--passive": "EPSV", "--passive=extended": "EPSV", "--passive=classic": "PASV", "--passive=true": "EPSV", "--passive=false": "EPSV",
		"--active": "EPRT", "--active=extended": "EPRT", "--active=classic": "PORT", "--active=false": "EPSV",
	} {
		t.Run(flag, func(t *testing.T) {
			s := ftptest.NewServer(t, nil)
			if err := afero.WriteFile(s.FS, "/f", []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
			code, out, errs := try(t, "cat", "-v", flag, s.URL+"/f")
			if code != 0 || out != "x" {
				t.Errorf("exit %d, %q, %s", code, out, errs)
			}
			if got := dataVerb.FindAllString(errs, -1); !slices.Equal(got, []string{"> " + want}) {
				t.Errorf("it sent %v, want %s", got, want)
			}
		})
	}
	t.Run("a refusal of the only verb", func(t *testing.T) {
		s := ftptest.NewServer(t, nil)
		s.Fail("EPSV", ftptest.Refuse())
		if code, _, errs := try(t, "ls", "--retries", "0", "--passive=extended", s.URL); code != verb.ExitRefused || !strings.Contains(errs, "502") {
			t.Errorf("exit %d, %s", code, errs)
		}
	})
	t.Run("another word", func(t *testing.T) {
		if code, _, errs := try(t, "ls", "--passive=classik", "ftp://127.0.0.1:1/"); code != verb.ExitUsage || !strings.Contains(errs, "classic") {
			t.Errorf("exit %d, %s", code, errs)
		}
	})
	t.Run("the environment", func(t *testing.T) {
		t.Setenv("MINIFTP_PASSIVE", "classic")
		s := ftptest.NewServer(t, nil)
		for want, args := range map[string][]string{"PASV": {"ls", "-v"}, "EPRT": {"ls", "-v", "--active"}} {
			code, _, errs := try(t, append(args, s.URL)...)
			if got := dataVerb.FindAllString(errs, -1); code != 0 || !slices.Equal(got, []string{"> " + want}) {
				t.Errorf("exit %d, it sent %v, want %s: %s", code, got, want, errs)
			}
		}
	})
}
