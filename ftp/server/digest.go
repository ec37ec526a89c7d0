package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"sync/atomic"

	"github.com/spf13/afero"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
)

// digest computes the SHA-256 of an upload for the Observer (Options.HashUploads). The bytes of a whole file are
// hashed as they arrive. After an upload that was resumed, appended or that changed a part, the file is read again.
// A nil digest computes nothing.
type digest struct {
	incoming
	s    *session
	fs   afero.Fs // of s, like keys: a task must not ask s for them
	keys []any
	sum  hash.Hash // of what has arrived; nil if the file must be read again
	hex  string    // the result of readAgain
}

// hashUpload returns u, and a digest if the settings ask for one: then the bytes of u go through it.
func (s *session) hashUpload(u incoming) (incoming, *digest) {
	if !s.set.HashUploads || s.set.Observer == nil {
		return u, nil
	}
	d := &digest{incoming: u, s: s, fs: s.account.FS, keys: s.hashKeys()}
	if _, offset, _ := u.where(); offset > 0 {
		return u, d
	}
	d.sum = sha256.New()
	return d, d
}

func (d *digest) sink() io.Writer { return digestSink{d.incoming.sink(), d.sum} }

type digestSink struct {
	to  io.Writer
	sum hash.Hash
}

func (w digestSink) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.sum.Write(p[:n])
	return n, err
}

// sha256 returns the SHA-256 of a complete upload in hex, or "" if it is unknown.
func (d *digest) sha256() string {
	switch {
	case d == nil:
		return ""
	case d.sum != nil:
		return hex.EncodeToString(d.sum.Sum(nil))
	}
	return d.hex
}

// mustRead reports whether readAgain is needed.
func (d *digest) mustRead() bool { return d != nil && d.sum == nil }

// readAgain hashes the complete file, within the limits on hashes. An error is logged: the upload is complete
// nevertheless.
func (d *digest) readAgain(ctx context.Context) {
	path, _, _ := d.where()
	if err := d.read(ctx, path); err != nil {
		d.s.set.Log.Warn("the SHA-256 of an upload could not be computed", "session", d.s.control.ID, "path", path, "err", err)
	}
}

// reading returns a task that calls readAgain and then replies, after an upload that j has completed.
func (d *digest) reading(j *task, res dtp.Result, reply ftp.Reply) *task {
	last := j.ends()
	res.Kept = nil // j has given it back
	last.work = func(ctx context.Context, _ *task) dtp.Result {
		d.readAgain(ctx)
		return res
	}
	last.finish = func(dtp.Result) ftp.Reply { return reply }
	return last
}

func (d *digest) read(ctx context.Context, path string) error {
	if d.s.set.HashTimeout < NoTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d.s.set.HashTimeout, errHashTime)
		defer cancel()
	}
	f, err := d.fs.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	h := sha256.New()
	work := &hashing{slots: d.s.srv.hashes, rate: d.s.set.hashRate, keys: d.keys, file: f}
	var moved atomic.Int64
	if err := work.run(ctx, h, 0, fi.Size(), &moved); err != nil {
		return err
	}
	d.hex = hex.EncodeToString(h.Sum(nil))
	return nil
}
