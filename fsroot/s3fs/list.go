package s3fs

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"strings"
	"sync"
	"syscall"

	"github.com/minio/minio-go/v7"
)

// pageOf asks for a page of a listing.
type pageOf struct {
	prefix string
	deep   bool // list keys instead of directories
	token  string
	max    int // 0 means 1000
}

// page is a page of a listing, in the order of the keys.
type page struct {
	entries []entry
	next    string // the token of the next page, or "" after the last one
}

// entry is a key of a listing, or a common prefix, which ends with a slash and has no ETag.
type entry struct {
	key    string
	object minio.ObjectInfo
}

// page returns a page of a listing.
func (f *Fs) page(p pageOf) (page, error) {
	delimiter := "/"
	if p.deep {
		delimiter = ""
	}
	most := p.max
	if most == 0 {
		most = 1000
	}
	r, err := retry(f.life, f, func(context.Context) (minio.ListBucketV2Result, error) {
		return f.core.ListObjectsV2(f.bucket, p.prefix, "", p.token, delimiter, most)
	})
	if err != nil {
		return page{}, err
	}
	out := page{entries: make([]entry, 0, len(r.Contents)+len(r.CommonPrefixes))}
	if r.IsTruncated {
		out.next = r.NextContinuationToken
	}
	files, dirs := r.Contents, r.CommonPrefixes
	for len(files) > 0 || len(dirs) > 0 {
		if len(dirs) == 0 || (len(files) > 0 && files[0].Key < dirs[0].Prefix) {
			files[0].ETag = strings.Trim(files[0].ETag, `"`)
			out.entries = append(out.entries, entry{files[0].Key, files[0]})
			files = files[1:]
		} else {
			out.entries = append(out.entries, entry{key: dirs[0].Prefix})
			dirs = dirs[1:]
		}
	}
	return out, nil
}

// pages returns the pages of a listing. While one is used, the next is fetched.
func (f *Fs) pages(p pageOf) iter.Seq2[page, error] {
	type result struct {
		page page
		err  error
	}
	return func(yield func(page, error) bool) {
		now, err := f.page(p)
		for {
			if err != nil {
				yield(page{}, err)
				return
			}
			var next chan result
			if now.next != "" {
				next = make(chan result, 1) // so the goroutine ends even if nobody waits for it
				p.token = now.next
				ask := p
				if !f.start(func() {
					got, err := f.page(ask)
					next <- result{got, err}
				}) {
					next <- result{err: fs.ErrClosed}
				}
			}
			if !yield(now, nil) || next == nil {
				return
			}
			r := <-next
			now, err = r.page, r.err
		}
	}
}

// keys returns the keys below a prefix, with all their objects.
func (f *Fs) keys(prefix string) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for page, err := range f.pages(pageOf{prefix: prefix, deep: true}) {
			if err != nil {
				yield(entry{}, err)
				return
			}
			for _, e := range page.entries {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// ReadDirSeq returns the entries of a directory in the order of their keys. It holds two pages of 1000 entries in
// memory, and returns the first entries when it has the first page. If the directory can't be read, the only pair
// has the error; a later error is that of a later page.
func (f *Fs) ReadDirSeq(name string) iter.Seq2[fs.FileInfo, error] {
	return func(yield func(fs.FileInfo, error) bool) {
		key, err := f.key(name)
		if err == nil {
			err = f.readDir(key, func(fi fs.FileInfo) bool { return yield(fi, nil) })
		}
		if err != nil {
			yield(nil, pathError("readdir", name, err))
		}
	}
}

// readDir calls yield with the entries of a directory until it returns false.
func (f *Fs) readDir(key string, yield func(fs.FileInfo) bool) error {
	prefix := f.below(key)
	exists := key == f.root
	var hidden clashes
	for page, err := range f.pages(pageOf{prefix: prefix}) {
		if err != nil {
			return err
		}
		exists = exists || len(page.entries) > 0
		listed := make([]object, 0, len(page.entries))
		for _, e := range page.entries {
			name, dir, ok, odd := child(prefix, e.key)
			if ok && hidden.clash(name, dir) {
				ok, odd = false, true
			}
			if odd {
				f.skipped.Add(1)
			}
			if ok {
				listed = append(listed, object{
					key: prefix + name, dir: dir, size: e.object.Size, etag: e.object.ETag, mod: modified(e.object),
				})
			}
		}
		if more, err := f.yieldAll(listed, yield); !more || err != nil {
			return err
		}
	}
	if exists {
		return nil
	}
	o, err := f.find(f.life, key)
	if err == nil && !o.dir {
		err = syscall.ENOTDIR
	}
	return err
}

// exactly is how many entries of a listing are looked up at once for their exact times, and chunk how many are
// shown after that.
const (
	exactly = 16
	chunk   = 64
)

// yieldAll yields objects of a listing.
func (f *Fs) yieldAll(listed []object, yield func(fs.FileInfo) bool) (more bool, err error) {
	for len(listed) > 0 {
		n := len(listed)
		if f.at.Exact {
			n = min(n, chunk)
			if err := f.exact(listed[:n]); err != nil {
				return false, err
			}
		}
		for _, o := range listed[:n] {
			if o.key != "" && !yield(f.info(o)) {
				return false, nil
			}
		}
		listed = listed[n:]
	}
	return true, nil
}

// exact replaces files of a listing by what HEAD says of them. Those that have disappeared get the key "".
func (f *Fs) exact(listed []object) error {
	var wg sync.WaitGroup
	errs := make([]error, len(listed))
	slots := make(chan struct{}, exactly)
	for i := range listed {
		if listed[i].dir {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			o, err := f.head(f.life, listed[i].key)
			if errors.Is(err, fs.ErrNotExist) {
				o, err = object{}, nil
			}
			listed[i], errs[i] = o, err
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// clashes finds directories that have the name of a file in the same listing. As the keys are sorted, only names
// that the current one begins with can still clash, so few are held at a time.
type clashes []string

func (c *clashes) clash(name string, dir bool) bool {
	for len(*c) > 0 && !strings.HasPrefix(name, (*c)[len(*c)-1]) {
		*c = (*c)[:len(*c)-1]
	}
	if dir {
		return len(*c) > 0 && (*c)[len(*c)-1] == name
	}
	*c = append(*c, name)
	return false
}
