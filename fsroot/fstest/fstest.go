// Package fstest checks whether a storage, an afero.Fs, does what miniftp's server needs of it. It is for
// tests of storages, as the standard library's testing/fstest is for tests of an fs.FS:
//
//	if err := fstest.TestFS(mystorage); err != nil {
//		t.Fatal(err)
//	}
//
// Examine returns the result of each check. The command "miniftp doctor" prints these results, and the table in
// docs/storages.md is made of them.
//
// The checks write only in a new hidden directory at the top of the storage, and remove it at the end. They
// write at most 64 MiB in all, most of it to a storage that makes files of uploads itself.
package fstest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/afero"
)

// Need says how much depends on an ability.
type Need uint8

// The values of Need.
const (
	// Required abilities are those without which files can be damaged or lost, or commands fail that every
	// client needs.
	Required Need = iota

	// Optional abilities may be missing. But if the storage has them, the server relies on them, so they must
	// not be wrong.
	Optional

	// Minor abilities may be missing or wrong. Clients may notice, but no file is damaged.
	Minor
)

var needs = [...]string{"required", "optional", "minor"}

func (n Need) String() string { return needs[n] }

// Verdict is the outcome of a check.
type Verdict uint8

// The values of Verdict.
const (
	Yes     Verdict = iota // the storage has the ability
	No                     // it does not have the ability, and says so, usually by an error
	Wrong                  // it claims the ability but does something else
	Skipped                // it was not examined, for the reason in Result.Err
)

var verdicts = [...]string{"yes", "no", "wrong", "skipped"}

func (v Verdict) String() string { return verdicts[v] }

// Result is the result of a check.
type Result struct {
	Name    string // of the check; it does not change between versions
	Need    Need
	Verdict Verdict
	Err     error // why the verdict is not Yes: what was expected, and what happened
}

// OK reports whether a server can use the storage despite this result.
func (r Result) OK() bool {
	switch r.Need {
	case Required:
		return r.Verdict == Yes || r.Verdict == Skipped
	case Optional:
		return r.Verdict != Wrong
	}
	return true
}

func (r Result) String() string {
	text := fmt.Sprintf("%s (%v): %v", r.Name, r.Need, r.Verdict)
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text
}

// Names of the results that are not those of a check.
const (
	Writable = "can be written to" // No if the storage is read-only
	CleanUp  = "clean up"          // whether everything that the checks made could be removed
)

// ErrReadOnly is the Err of checks that were skipped because the storage is read-only.
var ErrReadOnly = errors.New("the storage can't be written to")

// TestFS checks a storage that can be written to. It returns nil if the storage does all that miniftp's server
// requires, and everything else that it claims to do is right. Otherwise it returns an error for each
// check that failed, joined by errors.Join.
func TestFS(fsys afero.Fs) error {
	results := Examine(context.Background(), fsys)
	if results[0].Verdict != Yes {
		return failure(results[0])
	}
	return failures(results)
}

// TestReadFS is like TestFS, but checks only reading, and writes nothing. The storage must have a file
// that is not empty. TestReadFS looks for it in the first thousand entries.
func TestReadFS(fsys afero.Fs) error {
	return failures(ExamineReading(context.Background(), fsys))
}

func failure(r Result) error { return fmt.Errorf("%s: %w", r.Name, r.Err) }

func failures(results []Result) error {
	var all []error
	for _, r := range results {
		if r.Verdict == Wrong || r.Need == Required && r.Verdict != Yes {
			all = append(all, failure(r))
		}
	}
	return errors.Join(all...)
}

// Names returns the names of all checks in the order of the results of Examine.
func Names() (all []string) {
	all = append(all, Writable)
	for i := range checks {
		all = append(all, checks[i].name)
	}
	return append(all, CleanUp)
}

// Examine runs all checks in a new directory of the storage, and removes the directory, also if checks fail. If
// the storage can't be written to, it runs only those for reading, with a file that it finds; the other
// checks are then skipped. When ctx ends, the remaining checks are skipped.
//
// The first result is Writable, and the last is CleanUp.
func Examine(ctx context.Context, fsys afero.Fs) []Result {
	x := newExam(ctx, fsys)
	dir := fmt.Sprintf("/.miniftp-check-%08x", rand.Uint32())
	writable := Result{Name: Writable}
	err := x.limited(func(x *exam) error { return x.fs.Mkdir(dir, 0o777) })
	switch {
	case isRefusal(err):
		writable.Need, writable.Verdict, writable.Err = Optional, No, fmt.Errorf("%w: making a directory at the top: %w", ErrReadOnly, err)
	case err != nil:
		writable.Verdict, writable.Err = Wrong, fmt.Errorf("making a directory at the top: %w", err)
	default:
		x.dir = dir
	}
	results := append([]Result{writable}, x.all(writable)...)
	clean := Result{Name: CleanUp, Verdict: Skipped, Err: ErrReadOnly}
	if x.dir != "" {
		clean.Verdict, clean.Err = Yes, nil
		x.ctx = context.WithoutCancel(ctx)
		if err := x.limited((*exam).cleanUp); err != nil {
			clean.Verdict, clean.Err = Wrong, fmt.Errorf("%s remains: %w", dir, err)
		}
	}
	return append(results, clean)
}

// ExamineReading is like Examine for a storage that can't be written to: it does not try to.
func ExamineReading(ctx context.Context, fsys afero.Fs) []Result {
	x := newExam(ctx, fsys)
	var results []Result
	for _, r := range x.all(Result{Name: Writable, Verdict: No, Err: ErrReadOnly}) {
		if !errors.Is(r.Err, ErrReadOnly) {
			results = append(results, r)
		}
	}
	return results
}

// isRefusal reports whether err says that a storage does not permit changes, or not here.
func isRefusal(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, errors.ErrUnsupported)
}

// patience is how long one check may take. Tests change it.
var patience = 2 * time.Minute

// all runs all checks of the table.
func (x *exam) all(writable Result) (results []Result) {
	prepared := x.limited((*exam).prepare)
	stuck := false
	for i := range checks {
		c := &checks[i]
		r := Result{Name: c.name, Need: c.need}
		if c.byUpload && x.uploads != nil {
			r.Need = Optional
		}
		skip := context.Cause(x.ctx)
		switch {
		case skip != nil:
		case stuck:
			skip = errors.New("an earlier check did not end")
		case !c.reads && writable.Verdict != Yes:
			skip = writable.Err
		case c.reads && x.file == "" && !c.prepares:
			skip = prepared
		}
		if skip != nil {
			r.Verdict, r.Err = Skipped, skip
			results = append(results, r)
			continue
		}
		err := x.limited(func(x *exam) error {
			if !c.reads {
				var err error
				if x, err = x.in(i); err != nil {
					return err
				}
			}
			return c.run(x)
		})
		r.Verdict, r.Err = verdict(err)
		if stuck = errors.Is(err, errStuck); x.ctx.Err() != nil && err != nil {
			r.Verdict = Skipped
		}
		results = append(results, r)
	}
	return results
}

// errStuck is the error of a check that does not end.
var errStuck = errors.New("a method of the storage does not return")

// limited calls f, but waits only for so long, because methods of an afero.Fs have no context. A panic becomes
// an error.
func (x *exam) limited(f func(*exam) error) error {
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	own := *x
	own.ctx = ctx
	done := make(chan error, 1)
	go func() {
		done <- guarded(func() error { return f(&own) })
	}()
	select {
	case err := <-done:
		x.file, x.want, x.whole = own.file, own.want, own.whole
		return err
	case <-ctx.Done():
		if err := context.Cause(x.ctx); err != nil {
			return err
		}
		return errStuck
	}
}

// guarded calls f and returns a panic as an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, panicPlace(debug.Stack()))
		}
	}()
	return f()
}

// panicPlace returns the lines of a stack that say where it panicked.
func panicPlace(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic(") && i+3 < len(lines) {
			return strings.TrimSpace(lines[i+2]) + " " + strings.TrimSpace(lines[i+3])
		}
	}
	return ""
}

// absent is an error that says that a storage does not have an ability, as opposed to one that has it wrong.
type absent struct{ err error }

func (a *absent) Error() string { return a.err.Error() }
func (a *absent) Unwrap() error { return a.err }

// no marks err, of an operation that a storage may refuse, as such a refusal.
func no(err error) error {
	if err == nil {
		return nil
	}
	return &absent{err}
}

// errNone is the error of a check for methods that the storage does not have.
var errNone = no(errors.New("the storage has no such method"))

func verdict(err error) (Verdict, error) {
	if err == nil {
		return Yes, nil
	}
	if a, ok := errors.AsType[*absent](err); ok {
		return No, a.err
	}
	return Wrong, err
}
