package fstest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/afero"
)

func checkWrite(x *exam) error {
	name, want := x.path("f"), content(200_003)
	if x.uploads == nil {
		err := x.write(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, func(f afero.File) error {
			for part := range 7 { // as it comes from a network
				if _, err := f.Write(want[len(want)*part/7 : len(want)*(part+1)/7]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	} else if err := x.put(name, want); err != nil {
		return err
	}
	if err := x.holds(name, want); err != nil {
		return err
	}
	if err := x.put(x.path("empty"), nil); err != nil {
		return err
	}
	return x.holds(x.path("empty"), nil)
}

func checkReplace(x *exam) error {
	name := x.path("f")
	for _, want := range []string{"a longer content", "short", ""} {
		if err := x.put(name, []byte(want)); err != nil {
			return err
		}
		if err := x.holds(name, []byte(want)); err != nil {
			return err
		}
	}
	return nil
}

func checkExclusive(x *exam) error {
	name := x.path("f")
	err := x.write(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, func(f afero.File) error {
		_, err := f.WriteString("first")
		return err
	})
	if err != nil {
		return err
	}
	f, err := x.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		_ = f.Close()
	}
	if err := is("exclusive creation of a file that exists", err, fs.ErrExist); err != nil {
		return err
	}
	return x.holds(name, []byte("first"))
}

func checkAppend(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("one")); err != nil {
		return err
	}
	err := x.write(name, os.O_WRONLY|os.O_APPEND, func(f afero.File) error {
		_, err := io.WriteString(f, " two")
		return err
	})
	if err != nil {
		return err
	}
	return x.holds(name, []byte("one two"))
}

func checkMiddle(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("0123456789")); err != nil {
		return err
	}
	err := x.write(name, os.O_WRONLY, func(f afero.File) error {
		if _, err := f.Seek(3, io.SeekStart); err != nil {
			return no(fmt.Errorf("seek in a file that is written: %w", err))
		}
		_, err := io.WriteString(f, "abc")
		return err
	})
	if err != nil {
		return err
	}
	return x.holds(name, []byte("012abc6789"))
}

func checkWriteAt(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("0123456789")); err != nil {
		return err
	}
	err := x.write(name, os.O_WRONLY, func(f afero.File) error {
		_, err := f.WriteAt([]byte("abc"), 5)
		return no(err)
	})
	if err != nil {
		return err
	}
	return x.holds(name, []byte("01234abc89"))
}

func checkTruncate(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("0123456789")); err != nil {
		return err
	}
	err := x.write(name, os.O_WRONLY, func(f afero.File) error { return no(f.Truncate(4)) })
	if err != nil {
		return err
	}
	return x.holds(name, []byte("0123"))
}

func checkRemove(x *exam) error {
	for _, name := range []string{"f", "g"} {
		if err := x.put(x.path(name), []byte(name)); err != nil {
			return err
		}
	}
	if err := x.fs.Remove(x.path("f")); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	if err := x.gone(x.path("f")); err != nil {
		return err
	}
	all, err := x.names(x.dir, 10)
	if err != nil {
		return err
	}
	if all["f"] != nil || all["g"] == nil {
		return fmt.Errorf("after the removal of one of two files, %d are listed", len(all))
	}
	return is("the removal of a missing file", x.fs.Remove(x.path("f")), fs.ErrNotExist)
}

// manyFiles is the number of files in a directory that is listed in batches.
const manyFiles = 600

func checkSnapshot(x *exam) error {
	name := x.path("f")
	if err := x.put(name, []byte("before")); err != nil {
		return err
	}
	fi, err := x.fs.Stat(name)
	if err != nil {
		return err
	}
	all, err := x.names(x.dir, 10)
	if err != nil {
		return err
	}
	when := fi.ModTime()
	if err := x.put(name, []byte("and after")); err != nil {
		return err
	}
	_ = x.fs.Chtimes(name, time.Unix(0, 0), time.Unix(0, 0))
	for by, fi := range map[string]fs.FileInfo{"Stat": fi, "Readdir": all["f"]} {
		if fi == nil {
			return errors.New("the file is not listed")
		}
		if fi.Size() != int64(len("before")) || !fi.ModTime().Equal(when) || fi.Name() != "f" {
			return fmt.Errorf("the FileInfo of %s changes with its file", by)
		}
	}
	return nil
}

// checkNames returns a check that files and directories can have the names.
func checkNames(names ...string) func(*exam) error {
	return func(x *exam) error {
		if err := x.fs.Mkdir(x.path("dirs"), 0o777); err != nil {
			return err
		}
		for _, name := range names {
			if err := x.put(x.path(name), []byte(name)); err != nil {
				return no(fmt.Errorf("%q: %w", name, err))
			}
			if err := x.fs.Mkdir(x.path("dirs/")+name, 0o777); err != nil {
				return no(fmt.Errorf("%q: %w", name, err))
			}
		}
		files, err := x.names(x.dir, 100)
		if err != nil {
			return err
		}
		dirs, err := x.names(x.path("dirs"), 100)
		if err != nil {
			return err
		}
		for _, name := range names {
			if files[name] == nil || dirs[name] == nil {
				return fmt.Errorf("%q is not listed", name)
			}
			if err := x.holds(x.path(name), []byte(name)); err != nil {
				return err
			}
			if err := x.fs.Remove(x.path("dirs/") + name); err != nil {
				return err
			}
		}
		return nil
	}
}

func checkLongName(x *exam) error { return checkNames(strings.Repeat("n", 255))(x) }
