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

// Script is a recorded conversation between client and server. It is read from a txtar
// archive:
//
//	# a comment
//	do: get /a.txt          what the client has to do; scripts without it are for servers only
//	S: 220 ready…           a reply; "…" at the end matches any text
//	C: EPSV                 a command
//	S: 229 Entering Extended Passive Mode (|||{port}|)
//	C: RETR /a.txt
//	D: hello                data, as a Go string without quotes; it continues in the
//	                        next line if that is a D: too
//	B: 1234                 instead of D: this number of bytes, with any content
//	S: 150 …
//	-- before/a.txt --      a file of the server before the conversation
//	-- after/a.txt --       and after it
//
// The same script can be played against a server and against a client. {port} and
// {addr} stand for the port of the data connection: {port} is the number, and {addr}
// has the form of PORT and 227.
type Script struct {
	Name   string
	Do     []string // the words of the "do:" line; nil for a script for servers only
	Steps  []Step
	Before map[string]string // the content of the server's files before, by absolute path
	After  map[string]string // and after
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
			return nil, fmt.Errorf("%s:%d: %q is not a line of a script", name, i+1, line)
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
			return nil, fmt.Errorf("%s: the file %s is neither in before/ nor in after/", name, f.Name)
		}
	}
	return s, nil
}

// Lay creates the files of s.Before in fsys.
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

// Compare returns an error that lists how the files in fsys differ from s.After, or nil.
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
			wrong = append(wrong, fmt.Sprintf("%s contains %q, want %q", name, got, want))
		}
	}
	for name := range found {
		if _, ok := s.After[name]; !ok {
			wrong = append(wrong, name+" should not exist")
		}
	}
	if wrong != nil {
		slices.Sort(wrong)
		return fmt.Errorf("the files differ: %s", strings.Join(wrong, "; "))
	}
	return nil
}
