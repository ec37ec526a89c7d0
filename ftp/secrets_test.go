package ftp

import (
	"slices"
	"testing"
)

func TestSecrets(t *testing.T) {
	var s Secrets
	for _, c := range []Command{
		{"USER", "alice"},
		{"PASS", "opensesame"},
		{"ACCT", "ab"},
		{"SITE", "PSWD opensesame new-one"},
		{"USER", "bob"},
		{"PASS", "bob"},
		{"USER", "anonymous"},
		{"PASS", "guest"},
		{"PASS", ""},
		{"SITE", "CHMOD 644 name"},
		{"STOR", "file"},
	} {
		s.Learn(c)
	}
	for text, want := range map[string]string{
		"Password opensesame is wrong":           "Password **** is wrong",
		"opensesameopensesame new-one":           "******** ****",
		"ab, cab, about, (ab)":                   "****, cab, about, (****)",
		"bob logged in as guest; CHMOD 644 name": "bob logged in as guest; CHMOD 644 name",
		"an opensesam":                           "an opensesam",
		"USER alice":                             "USER alice",
	} {
		if got := s.Mask(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	lines := []string{"no", "opensesame"}
	refused := Reply{Code: 530, Lines: lines}
	if got := s.MaskRefused(refused); !slices.Equal(got.Lines, []string{"no", "****"}) || lines[1] != "opensesame" {
		t.Errorf("%q of %q", got.Lines, lines)
	}
	if got := s.MaskRefused(Reply{Code: 257, Lines: lines}); got.Lines[1] != "opensesame" {
		t.Errorf("a path: %q", got.Lines)
	}
}

func TestMaskedSITE(t *testing.T) {
	for arg, want := range map[string]string{"PSWD a b": "PSWD ****", " chpass  bob x": "chpass ****", "CHMOD 1 a": "CHMOD 1 a", "PSWD": "PSWD"} {
		if got := (Command{"SITE", arg}).Masked().Arg; got != want {
			t.Errorf("%q: %q, want %q", arg, got, want)
		}
	}
}
