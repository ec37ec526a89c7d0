package fstest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/spf13/afero"
)

// checkReaderKeeps replaces a file by an upload or, if the storage has none, by a rename.
func checkReaderKeeps(x *exam) error {
	name, old := x.path("f"), content(sampleSize)
	if err := x.put(name, old); err != nil {
		return err
	}
	f, err := x.fs.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	got := make([]byte, 1000)
	if _, err := io.ReadFull(f, got); err != nil {
		return err
	}
	if x.uploads != nil {
		err = x.put(name, []byte("new"))
	} else {
		if err := x.put(x.path("g"), []byte("new")); err != nil {
			return err
		}
		err = x.fs.Rename(x.path("g"), name)
	}
	if err != nil {
		return no(err)
	}
	if err := x.holds(name, []byte("new")); err != nil {
		return err
	}
	rest, err := io.ReadAll(f)
	if err != nil {
		return no(fmt.Errorf("the reader fails when the file is replaced: %w", err))
	}
	if err := same(append(got, rest...), old); err != nil {
		return fmt.Errorf("a reader that had opened the file before it was replaced: %w", err)
	}
	return nil
}

// checkConcurrent writes several files at once, and then makes, moves, lists and removes files and directories.
func checkConcurrent(x *exam) error {
	var ready sync.WaitGroup
	ready.Add(several)
	err := atOnce(several, func(i int) error {
		want := content(10_000 * (i + 1))
		return errors.Join(x.putWhen(x.path(fmt.Sprint("f", i)), want, func() { ready.Done(); ready.Wait() }), x.holds(x.path(fmt.Sprint("f", i)), want))
	})
	if err != nil {
		return err
	}
	return atOnce(2*several, func(i int) error {
		for round := range 5 {
			if err := x.steps(i, content(1000*(i+round+1))); err != nil {
				return err
			}
		}
		return nil
	})
}

// steps is what the i-th of several goroutines does with its files.
func (x *exam) steps(i int, want []byte) error {
	name, dir := x.path(fmt.Sprint("f", i)), x.path(fmt.Sprint("d", i))
	if err := x.put(name, want); err != nil {
		return err
	}
	if err := x.holds(name, want); err != nil {
		return err
	}
	if err := x.fs.Mkdir(dir, 0o777); err != nil {
		return fmt.Errorf("mkdir: %w", err)
	}
	if err := x.fs.Rename(name, dir+"/f"); err == nil {
		if err := x.holds(dir+"/f", want); err != nil {
			return err
		}
		if err := x.fs.Remove(dir + "/f"); err != nil {
			return fmt.Errorf("remove: %w", err)
		}
	}
	if _, err := x.list(x.dir, 100); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if err := x.fs.Remove(dir); err != nil {
		return fmt.Errorf("remove of a directory: %w", err)
	}
	return nil
}

func checkLock(x *exam) error {
	s, ok := x.fs.(lockFs)
	if !ok {
		return errNone
	}
	name := x.path("f")
	if err := x.put(name, []byte("f")); err != nil {
		return err
	}
	for round := range 2 { // the first closes the file, which must end its lock
		err := x.write(name, os.O_RDWR, func(first afero.File) error {
			if locked, err := s.Lock(first); err != nil || !locked {
				return errors.Join(no(err), wrongIf(err == nil, fmt.Errorf("round %d: a file that is not locked can't be locked", round)))
			}
			return x.write(name, os.O_RDWR, func(second afero.File) error {
				locked, err := s.Lock(second)
				return errors.Join(no(err), wrongIf(locked, errors.New("a file can be locked twice")))
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// wrongIf returns err if is is true.
func wrongIf(is bool, err error) error {
	if is {
		return err
	}
	return nil
}
