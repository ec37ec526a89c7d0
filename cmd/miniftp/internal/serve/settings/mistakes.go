package settings

import (
	"errors"
	"fmt"
	"slices"

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
)

// Label returns the name by which a setting was given, for an error about another one: --tls,
// MINIFTP_TLS, or tls.mode with the file and the line.
func (cf *Config) Label(field any) string {
	if s := cf.of(field); s.by == ByFile {
		return cf.file.place(s.line) + ": " + s.key()
	}
	return cf.Word(field)
}

// Word returns the same name as Label without the file and the line.
func (cf *Config) Word(field any) string {
	s := cf.of(field)
	name := s.name
	if s.asPort {
		name = portFlag
	}
	switch {
	case s.by == ByFile:
		return s.key()
	case s.by == ByEnv:
		return flags.EnvName(name)
	case s.argument:
		return "ROOT"
	}
	return "--" + name
}

// Wrong records a mistake in the value of a setting. The message follows the setting's name.
func (cf *Config) Wrong(field any, format string, args ...any) {
	cf.Blame(field, verb.Usagef("%s %s", cf.Word(field), fmt.Sprintf(format, args...)))
}

// Blame records err, if non-nil, as caused by a setting. If field is nil, no setting is named.
func (cf *Config) Blame(field any, err error) { cf.Problem(cf.Located(field, err)) }

// Located returns err prefixed with the line of the setting that caused it, if it was set in the file.
func (cf *Config) Located(field any, err error) error {
	if field == nil || err == nil {
		return err
	}
	if s := cf.of(field); s.by == ByFile {
		return cf.file.at(s.line, err)
	}
	return err
}

// BlameUser records err, if non-nil, as caused by a field of a user, or by the table [users.NAME]
// if field is a itself.
func (cf *Config) BlameUser(a *Account, field any, err error) {
	if err == nil {
		return
	}
	err = verb.Usagef("user %s: %v", a.shown(), err)
	if a.lines[field] == 0 {
		err = verb.Usagef("%s: %v", a.from, err)
	}
	cf.Problem(cf.LocatedUser(a, field, err))
}

// LocatedUser returns err prefixed with the line that sets a field of a user, if there is one.
func (cf *Config) LocatedUser(a *Account, field any, err error) error {
	if line := a.lines[field]; line > 0 {
		return cf.file.at(line, err)
	}
	return err
}

// Problem records err, if non-nil.
func (cf *Config) Problem(err error) {
	if err != nil {
		cf.Problems = append(cf.Problems, err)
	}
}

// Warn records a warning.
func (cf *Config) Warn(format string, args ...any) {
	cf.Warnings = append(cf.Warnings, fmt.Sprintf(format, args...))
}

// Report prints the problems. It returns an error with the exit code of the first problem, or nil if
// there are none.
func (cf *Config) Report(e *verb.Env) error {
	if len(cf.Problems) == 0 {
		return nil
	}
	for _, err := range cf.Sorted() {
		e.SayError(err)
	}
	return verb.Reported{Err: cf.Problems[0]}
}

// Sorted sorts the problems by their line in the file and returns them. Those without a line come first.
func (cf *Config) Sorted() []error {
	line := func(err error) int {
		var l *lineError
		if errors.As(err, &l) {
			return l.line
		}
		return 0
	}
	slices.SortStableFunc(cf.Problems, func(a, b error) int { return line(a) - line(b) })
	return cf.Problems
}
