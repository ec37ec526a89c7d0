package fstest

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
)

func checkRename(x *exam) error {
	if err := x.put(x.path("f"), []byte("f")); err != nil {
		return err
	}
	if err := x.fs.Mkdir(x.path("d"), 0o777); err != nil {
		return err
	}
	for _, step := range [][2]string{{"f", "g"}, {"g", "d/g"}} {
		if err := x.fs.Rename(x.path(step[0]), x.path(step[1])); err != nil {
			return errors.Join(no(fmt.Errorf("rename: %w", err)), x.holds(x.path(step[0]), []byte("f")))
		}
		if err := x.holds(x.path(step[1]), []byte("f")); err != nil {
			return err
		}
		if err := x.gone(x.path(step[0])); err != nil {
			return err
		}
	}
	all, err := x.names(x.dir, 10)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("after the rename, %d names are listed, want 1", len(all))
	}
	return err
}

func checkRenameOver(x *exam) error {
	for _, name := range []string{"new", "old"} {
		if err := x.put(x.path(name), []byte(name+" content")); err != nil {
			return err
		}
	}
	if err := x.fs.Rename(x.path("new"), x.path("old")); err != nil {
		return no(fmt.Errorf("rename to the name of a file: %w", err))
	}
	if err := x.holds(x.path("old"), []byte("new content")); err != nil {
		return err
	}
	return x.gone(x.path("new"))
}

func checkRenameNew(x *exam) error {
	s, ok := x.fs.(renameNewFs)
	if !ok {
		return errNone
	}
	for _, name := range []string{"a", "b"} {
		if err := x.put(x.path(name), []byte(name)); err != nil {
			return err
		}
	}
	if err := is("RenameNew to a name that exists", s.RenameNew(x.path("a"), x.path("b")), fs.ErrExist); err != nil {
		return err
	}
	for _, name := range []string{"a", "b"} {
		if err := x.holds(x.path(name), []byte(name)); err != nil {
			return err
		}
	}
	const callers = 8
	for i := range callers {
		if err := x.put(x.path(fmt.Sprint(i)), []byte(fmt.Sprint(i))); err != nil {
			return err
		}
	}
	var winners atomic.Int32
	var last atomic.Int32
	err := atOnce(callers, func(i int) error {
		err := s.RenameNew(x.path(fmt.Sprint(i)), x.path("wanted"))
		if err == nil {
			winners.Add(1)
			last.Store(int32(i))
			return nil
		}
		return is("RenameNew", err, fs.ErrExist)
	})
	if err != nil {
		return err
	}
	if n := winners.Load(); n != 1 {
		return fmt.Errorf("%d of %d callers of RenameNew got the same new name, want 1", n, callers)
	}
	for i := range callers {
		name := fmt.Sprint(i)
		if i == int(last.Load()) {
			name = "wanted"
		}
		if err := x.holds(x.path(name), []byte(fmt.Sprint(i))); err != nil {
			return err
		}
	}
	return nil
}

func checkRenameDir(x *exam) error {
	if err := x.tree("d"); err != nil {
		return err
	}
	if err := x.fs.Rename(x.path("d"), x.path("e")); err != nil {
		if left := x.hasTree("d"); left != nil {
			return fmt.Errorf("the rename fails (%w), and the directory is not as before: %w", err, left)
		}
		return no(fmt.Errorf("rename of a directory: %w", err))
	}
	if err := x.hasTree("e"); err != nil {
		return err
	}
	if err := x.gone(x.path("d/sub/f")); err != nil {
		return err
	}
	return x.gone(x.path("d"))
}

func checkMoveDir(x *exam) error {
	s, ok := x.fs.(moveDirFs)
	if !ok {
		return errNone
	}
	if err := x.tree("d"); err != nil {
		return err
	}
	calls, last := 0, 0
	if err := s.MoveDir(x.ctx, x.path("d"), x.path("e"), func(files int) { calls, last = calls+1, files }); err != nil {
		return no(fmt.Errorf("MoveDir: %w", err))
	}
	if err := x.hasTree("e"); err != nil {
		return err
	}
	if calls == 0 || last < 2 {
		return fmt.Errorf("progress was called %d times, the last time with %d files, want at least 2 files", calls, last)
	}
	return x.gone(x.path("d"))
}

func checkRenameOverDir(x *exam) error {
	for _, name := range []string{"d", "e"} {
		if err := x.tree(name); err != nil {
			return err
		}
	}
	if err := x.put(x.path("f"), []byte("f")); err != nil {
		return err
	}
	for _, name := range []string{"f", "e"} {
		if err := fails("rename of "+name+" to the name of a directory that is not empty", x.fs.Rename(x.path(name), x.path("d"))); err != nil {
			return err
		}
	}
	if err := x.holds(x.path("f"), []byte("f")); err != nil {
		return err
	}
	return errors.Join(x.hasTree("d"), x.hasTree("e"))
}
