package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"miniftp/cmd/miniftp/internal/target"
	"miniftp/ftp"
)

// cleanUp deletes all uploaded files, in a session of its own. It returns an error that names what is left.
func (b *benchmark) cleanUp() error {
	s := b.files
	if !s.made {
		return nil
	}
	b.status.say("cleaning up")
	defer b.status.clear()
	limit := 15*time.Second + time.Duration(s.entries)*5*time.Millisecond
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(b.ctx), limit, errors.New("it took too long"))
	defer cancel()
	if err := b.remove(ctx); err != nil {
		return fmt.Errorf("%s could not be deleted: %w", b.r.Join(target.Join(b.r.Path, s.dir)), err)
	}
	return nil
}

func (b *benchmark) remove(ctx context.Context) error {
	u, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer u.cut()
	s := b.files
	dir := target.Join(b.r.Path, s.dir)
	if err = u.enterDir(dir); isRefusal(err) {
		return nil // it does not exist
	} else if err != nil {
		return err
	}
	if s.entries > 0 {
		_, err = b.eachEntry(u, s.entries, func(u *session, name string) error {
			if err := u.do("DELE", entriesDir+"/"+name); !isRefusal(err) {
				return err
			}
			return nil // RMD will show whether files are left
		})
		if err == nil {
			err = u.removeDir(entriesDir)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range s.names {
		if err = u.do("DELE", name); err != nil && !isRefusal(err) {
			return err
		}
	}
	if err = u.do("CDUP", ""); err != nil {
		return err
	}
	if err = u.removeDir(s.dir); err != nil {
		return err
	}
	s.made = false
	return u.quit()
}

// removeDir removes a directory. If it is not empty, removeDir deletes the files in it and tries again, up to
// 20 times, because files may still appear: a server may keep a partial upload, and list it only a moment
// after the connection was cut.
func (u *session) removeDir(dir string) error {
	for try := 1; ; try++ {
		err := u.do("RMD", dir)
		if !isRefusal(err) {
			return err
		}
		if other := u.do("CWD", dir); isRefusal(other) {
			return nil // it does not exist
		} else if other != nil {
			return other
		}
		if other := u.empty(); other != nil {
			return other
		}
		if try == 20 {
			return err
		}
		select {
		case <-u.ctx.Done():
			return context.Cause(u.ctx)
		case <-time.After(time.Duration(try) * 10 * time.Millisecond):
		}
	}
}

// empty deletes all files in the current directory, including hidden ones, and changes to its parent.
func (u *session) empty() error {
	var rest []string
	for _, how := range []string{"-a", ""} { // a server without options for LIST finds no file named -a
		err := u.list(how, func(e ftp.Entry) {
			if !e.IsDir() {
				rest = append(rest, e.Name)
			}
		})
		if err == nil && len(rest) > 0 {
			break
		}
		if err != nil && !isRefusal(err) {
			return err
		}
	}
	for _, name := range rest {
		if err := u.do("DELE", name); err != nil && !isRefusal(err) {
			return err
		}
	}
	return u.do("CDUP", "")
}
