package doctor

import (
	"slices"
	"strings"
	"testing"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/verbtest"
	"miniftp/ftp/ftptest"
	"miniftp/ftp/server"
)

// TestDoctorNoReading: if the account may not read, that is not reported as a fault of the server. With
// --write, each way is tried by an upload.
func TestDoctorNoReading(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	fsys, _ := readable(t)
	drop := ftptest.NewServer(t, fsys, ftptest.WithUser("cam", "pw", server.DropBox))
	url := strings.Replace(drop.URL, "ftp://", "ftp://cam:pw@", 1) + "/"
	j, exit, stderr := examined(t, url)
	if exit != verb.ExitRefused || !slices.Contains(j.codes(), "read-refused") || slices.Contains(j.codes(), "other") || !strings.Contains(stderr, "--write tries uploads") ||
		j.Grid[0].states() != "unread unread unread unread" {
		t.Errorf("exit %d: %q, %q, %q", exit, j.codes(), j.Grid[0].states(), stderr)
	}
	before := verbtest.AllNames(t, fsys)
	j, exit, stderr = examined(t, "--write", url)
	if exit != verb.ExitOK || j.Grid[0].states() != allWork || !strings.Contains(j.Use, "miniftp put FILE ") || !slices.Contains(j.codes(), "write-left") {
		t.Errorf("exit %d: %q, %q, %q, %q", exit, j.codes(), j.Grid[0].states(), j.Use, stderr)
	}
	for _, name := range verbtest.AllNames(t, fsys) {
		if !slices.Contains(before, name) && !strings.Contains(j.finding("write-left"), strings.TrimPrefix(name, "/")) {
			t.Errorf("%s was left, but the finding does not name it: %s", name, j.finding("write-left"))
		}
	}
	if text := page(t, "--write", url); !strings.Contains(text, "tried by uploads, because the account may not read") {
		t.Errorf("the page does not mention the uploads:\n%s", text)
	}

	fsys, _ = readable(t)
	before = verbtest.AllNames(t, fsys)
	srv := ftptest.NewServer(t, fsys)
	srv.Fail("MLSD", ftptest.Reply(550, "No."))
	srv.Fail("LIST", ftptest.Reply(550, "No."))
	j, exit, _ = examined(t, "--write", srv.URL+"/")
	if after := verbtest.AllNames(t, fsys); exit != verb.ExitOK || j.Grid[0].states() != allWork || !slices.Equal(before, after) {
		t.Errorf("exit %d: %q, %q; there is %q", exit, j.codes(), j.Grid[0].states(), after)
	}
}

// finding returns the text of the finding with the given code, or "".
func (j *jsonReport) finding(code string) string {
	for _, f := range j.Findings {
		if f.Code == code {
			return f.What + " " + f.Do
		}
	}
	return ""
}

// TestDoctorNotAsked: features that could not be asked for are not reported as missing, and replies that
// did not arrive in time are not reported as faults.
func TestDoctorNotAsked(t *testing.T) {
	t.Parallel()
	verbtest.Long(t)
	fsys, _ := readable(t)
	for _, tt := range []struct {
		name       string
		verb       string
		fault      ftptest.Fault
		page, says string
		states     string
	}{
		{"login", "USER", ftptest.Reply(530, "No."), "FEAT not asked", "The login is refused", ""},
		{"account", "USER", ftptest.Reply(332, "And the account?"), "MLSD not asked", "Give the account with --account", ""},
		{"slow FEAT", "FEAT", ftptest.Silence(), "FEAT not answered in time", "", allWork},
		{"slow EPSV", "EPSV", ftptest.Silence(), "", "No answer to EPSV within 800ms. The server or the line is slow: --timeout 30", "fails works works works"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := ftptest.NewServer(t, fsys)
			srv.Fail(tt.verb, tt.fault)
			text := page(t, "--timeout", "800ms", srv.URL+"/")
			if !strings.Contains(text, tt.page) || strings.Contains(text, "no FEAT") || strings.Contains(text, "MLSD no ") || strings.Contains(text, "does not work") {
				t.Errorf("the page is\n%s", text)
			}
			flat := strings.Join(strings.Fields(text), " ")
			if !strings.Contains(flat, tt.says) {
				t.Errorf("no %q in\n%s", tt.says, text)
			}
			if j, _, _ := examined(t, "--timeout", "800ms", srv.URL+"/"); tt.states != "" && j.Grid[0].states() != tt.states {
				t.Errorf("the first row has the states %q, want %q", j.Grid[0].states(), tt.states)
			}
		})
	}
}
