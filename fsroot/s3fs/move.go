package s3fs

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"

	"github.com/minio/minio-go/v7"
)

var errChanged error = syscall.ESTALE

// Rename implements afero.Fs. It copies and then deletes. A file may be replaced by a file; a directory is not
// replaced. The error is syscall.ESTALE if the file changes meanwhile.
func (f *Fs) Rename(oldname, newname string) error {
	return pathError("rename", oldname, f.rename(oldname, newname, false))
}

// RenameNew is like Rename, but if newname exists, the error is fs.ErrExist, also if it is made at the same time. That is
// certain for files only, because a directory is not one object.
func (f *Fs) RenameNew(oldname, newname string) error {
	return pathError("rename", oldname, f.rename(oldname, newname, true))
}

func (f *Fs) rename(oldname, newname string, isNew bool) error {
	from, to, err := f.bothKeys(oldname, newname)
	if err != nil {
		return err
	}
	ctx := f.life
	source, err := f.find(ctx, from)
	if err != nil {
		return err
	}
	if err := f.findParent(ctx, to); err != nil {
		return err
	}
	if source.dir && strings.HasPrefix(to, from+"/") {
		return syscall.EINVAL // a directory can't move into itself
	}
	if from == to {
		if isNew {
			return fs.ErrExist
		}
		return nil
	}
	target, err := f.lookup(ctx, to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case isNew || target.dir:
		return fs.ErrExist
	case source.dir:
		return syscall.ENOTDIR
	}
	if source.dir {
		return f.moveDir(ctx, from, to, func(int) {})
	}
	return f.moveFile(ctx, source, to, isNew)
}

func (f *Fs) bothKeys(oldname, newname string) (from, to string, err error) {
	from, err = f.key(oldname)
	if err == nil {
		to, err = f.key(newname)
	}
	if err == nil && (from == f.root || to == f.root) {
		err = fs.ErrPermission
	}
	return from, to, err
}

func (f *Fs) moveFile(ctx context.Context, source object, to string, isNew bool) error {
	if err := f.copyObject(ctx, source, to, isNew, nil); err != nil {
		return err
	}
	if err := f.checkCopy(ctx, source, to); err != nil {
		return err
	}
	if err := f.keepParent(ctx, source.key); err != nil {
		return err
	}
	// Only the version that was copied is deleted.
	now, err := f.head(ctx, source.key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case now.etag != source.etag:
		return errChanged
	}
	return f.deleteKey(ctx, source.key)
}

// MoveDir moves a directory by copying its files, of which eight are copied at once, and then deleting them. newname
// must not exist, and its directory must. progress is called, from one goroutine at a time, with how many files have
// been copied. If a copy fails, the copies are removed, so the directory is as it was. If deleting fails, some of the
// files have both names.
//
// With a filer in the URL, the store renames the directory itself, and progress is not called.
func (f *Fs) MoveDir(ctx context.Context, oldname, newname string, progress func(files int)) error {
	from, to, err := f.bothKeys(oldname, newname)
	if err == nil {
		err = f.checkMove(ctx, from, to)
	}
	if err == nil {
		err = f.moveDir(ctx, from, to, progress)
	}
	return pathError("rename", oldname, err)
}

func (f *Fs) checkMove(ctx context.Context, from, to string) error {
	source, err := f.find(ctx, from)
	switch {
	case err != nil:
		return err
	case !source.dir:
		return syscall.ENOTDIR
	case from == to || strings.HasPrefix(to, from+"/"):
		return syscall.EINVAL
	}
	if err := f.findParent(ctx, to); err != nil {
		return err
	}
	_, err = f.lookup(ctx, to)
	switch {
	case err == nil:
		return fs.ErrExist
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

func (f *Fs) moveDir(ctx context.Context, from, to string, progress func(int)) error {
	if f.at.Filer != nil {
		if err := f.keepParent(ctx, from); err != nil {
			return err
		}
		return f.filerMove(ctx, from, to)
	}
	m := &mover{f: f, from: from + "/", to: to + "/", progress: progress, copied: map[string]string{}}
	// Files that are stored while the others are copied move, too.
	for round := 0; ; round++ {
		n, err := m.copyAll(ctx)
		if err != nil {
			return errors.Join(err, m.undo(ctx))
		}
		if n == 0 || round == 5 {
			break
		}
	}
	if err := f.keepParent(ctx, from); err != nil {
		return err
	}
	err := f.removeBelow(ctx, m.from, func(e entry) bool {
		etag, ok := m.copied[e.key[len(m.from):]]
		return ok && etag == e.object.ETag
	})
	if err == nil && m.missed > 0 {
		err = syscall.EBUSY // some files have changed each time, and have only the old name
	}
	return err
}

// mover copies the keys below a directory.
type mover struct {
	f        *Fs
	from, to string
	progress func(int)

	mu     sync.Mutex
	copied map[string]string // from the rest of the key to the ETag
	files  int
	missed int // files that were changed during the last copyAll
}

// moversAtOnce is how many files are copied at once.
const moversAtOnce = 8

// copyAll copies what is not copied yet, and returns how many that were.
func (m *mover) copyAll(ctx context.Context) (n int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	m.missed = 0
	var wg sync.WaitGroup
	slots := make(chan struct{}, moversAtOnce)
	for e, err := range m.f.keys(m.from) {
		if err != nil {
			cancel(err)
		}
		if ctx.Err() != nil {
			break
		}
		rest := e.key[len(m.from):]
		m.mu.Lock()
		etag, ok := m.copied[rest]
		m.mu.Unlock()
		if ok && etag == e.object.ETag {
			continue
		}
		n++
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := m.copy(ctx, e, rest); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return n, context.Cause(ctx)
}

func (m *mover) copy(ctx context.Context, e entry, rest string) error {
	key := m.to + rest
	if len(key) > maxKey {
		return syscall.ENAMETOOLONG
	}
	dir := strings.HasSuffix(key, "/") && e.object.Size == 0
	var err error
	large := e.object.Size > m.f.sizes.whole
	if !large {
		// A store that was asked for a copy makes it, even if nobody waits for the reply. So undo has to know.
		ctx = context.WithoutCancel(ctx)
	}
	if dir {
		err = m.f.putMarker(ctx, strings.TrimSuffix(key, "/"), false)
	} else {
		from := object{key: e.key, size: e.object.Size, etag: e.object.ETag}
		if large { // its metadata is needed
			if from, err = m.f.head(ctx, e.key); err != nil {
				return err
			}
		}
		err = m.f.copyObject(ctx, from, key, false, nil)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errChanged) {
		m.mu.Lock()
		m.missed++
		m.mu.Unlock()
		return nil // removed or replaced meanwhile; the next round sees it
	}
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.copied[rest] = e.object.ETag
	if !dir {
		m.files++
		m.progress(m.files)
	}
	return nil
}

// undo removes the copies.
func (m *mover) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longer*m.f.transport.timeout)
	defer cancel()
	return m.f.removeBelow(ctx, m.to, func(e entry) bool {
		_, ok := m.copied[e.key[len(m.to):]]
		return ok
	})
}

// filerMove lets the filer of a SeaweedFS rename a directory.
func (f *Fs) filerMove(ctx context.Context, from, to string) error {
	const buckets = "/buckets/"
	u := *f.at.Filer
	u.Path += buckets + f.bucket + "/" + to
	u.RawQuery = url.Values{"mv.from": {buckets + f.bucket + "/" + from}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: f.transport}).Do(req)
	if err != nil {
		return f.mapError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return f.mapError(minio.ErrorResponse{Code: "filer", StatusCode: resp.StatusCode, Message: resp.Status})
	}
	return nil
}
