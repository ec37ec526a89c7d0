package ftptest

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/afero"
)

// Script is a recorded conversation, from a txtar archive:
//
//	# anything: what it shows, and the RFC section
//	do: get /a.txt          what the client has to do; without it: for servers only
//	S: 220 ready…           a reply; after a … any text may follow
//	C: EPSV                 a command
//	S: 229 Entering Extended Passive Mode (|||{port}|)
//	C: RETR /a.txt
//	D: hello                the transfer's bytes, as a Go string without quotes; more
//	                        of them on the next lines, if they are D: too
//	B: 1234                 in place of D: so many bytes, whatever they are
//	S: 150 …
//	-- before/a.txt --      the server's files before
//	-- after/a.txt --       and after
//
// The same script plays against a server, then against a client. {port} and
// {addr} stand for the port of the data connection, as a number or as PORT and
// 227 write it.
type Script struct {
	Name   string
	Do     []string // words; nil: a script for servers only
	Steps  []Step
	Before map[string]string
	After  map[string]string
}

// Step is one line of a Script.
type Step struct {
	Kind byte // 'C', 'S', 'D' or 'B'
	Text string
}

// ReadScript parses a txtar archive.
func ReadScript(name string, data []byte) (*Script, error) {
	a := txtar.Parse(data)
	s := &Script{Name: name, Before: map[string]string{}, After: map[string]string{}}
	for i, line := range strings.Split(strings.TrimRight(string(a.Comment), "\n"), "\n") {
		kind, text, ok := strings.Cut(line, ":")
		text = strings.TrimPrefix(text, " ")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case ok && kind == "do":
			s.Do = strings.Fields(text)
		case ok && (kind == "C" || kind == "S" || kind == "D" || kind == "B"):
			s.Steps = append(s.Steps, Step{kind[0], text})
		default:
			return nil, fmt.Errorf("%s:%d: %q is no line of a script", name, i+1, line)
		}
	}
	for _, f := range a.Files {
		where, rest, _ := strings.Cut(f.Name, "/")
		switch where {
		case "before":
			s.Before["/"+rest] = string(f.Data)
		case "after":
			s.After["/"+rest] = string(f.Data)
		default:
			return nil, fmt.Errorf("%s: the file %s is neither before/ nor after/", name, f.Name)
		}
	}
	return s, nil
}

// Lay writes the files of before into fsys.
func (s *Script) Lay(fsys afero.Fs) error {
	for name, text := range s.Before {
		if err := fsys.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := afero.WriteFile(fsys, name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Compare reports how the files of fsys differ from what after says.
func (s *Script) Compare(fsys afero.Fs) error {
	found := map[string]string{}
	err := afero.Walk(fsys, "/", func(name string, info fs.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		b, err := afero.ReadFile(fsys, name)
		found["/"+strings.TrimPrefix(name, "/")] = string(b)
		return err
	})
	if err != nil {
		return err
	}
	var wrong []string
	for name, want := range s.After {
		if got, ok := found[name]; !ok {
			wrong = append(wrong, name+" is missing")
		} else if got != want {
			wrong = append(wrong, fmt.Sprintf("%s holds %q, want %q", name, got, want))
		}
	}
	for name := range found {
		if _, ok := s.After[name]; !ok {
			wrong = append(wrong, name+" should not be there")
		}
	}
	if wrong != nil {
		slices.Sort(wrong)
		return fmt.Errorf("the files differ: %s", strings.Join(wrong, "; "))
	}
	return nil
}
