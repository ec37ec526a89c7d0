package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"miniftp/cmd/miniftp/internal/target"
	"miniftp/ftp"
)

// cleanUp removes all that was uploaded, with a session of its own. Its error says
// what is left.
func (b *benchmark) cleanUp() error {
	s := b.files
	if !s.made {
		return nil
	}
	b.status.say("cleaning up")
	defer b.status.clear()
	limit := 15*time.Second + time.Duration(s.entries)*5*time.Millisecond
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(b.ctx), limit, errors.New("it took too long to remove it"))
	defer cancel()
	if err := b.remove(ctx); err != nil {
		return fmt.Errorf("%s is left behind: %w", b.r.Join(target.Join(b.r.Path, s.dir)), err)
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
	if err = u.work(dir); isRefusal(err) {
		return nil // it is not there
	} else if err != nil {
		return err
	}
	if s.entries > 0 {
		_, err = b.eachEntry(u, s.entries, func(u *session, name string) error {
			if err := u.do("DELE", entriesDir+"/"+name); !isRefusal(err) {
				return err
			}
			return nil // what matters is whether the directory can be removed
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

// removeDir removes a directory. What is still in it, such as what the server keeps of
// an upload that was cut short, goes first; it may appear only a moment later.
func (u *session) removeDir(dir string) error {
	for try := 1; ; try++ {
		err := u.do("RMD", dir)
		if !isRefusal(err) {
			return err
		}
		if other := u.do("CWD", dir); isRefusal(other) {
			return nil // it is not there
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

// empty removes all files of the current directory, hidden ones included, and goes up.
func (u *session) empty() error {
	var rest []string
	for _, how := range []string{"-a", ""} { // who knows no options finds no file of that name
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
