package s3fs_test

import (
	"io"
	"testing"
	"time"

	"miniftp/fsroot/s3fs"
	"miniftp/internal/s3peer"
)

func BenchmarkLarge(b *testing.B) {
	f, err := s3fs.Open(b.Context(), s3peer.Start(b, b.TempDir()).URL("", ""), keys)
	check(b, err)
	defer f.Close()
	data := random(1, 128*mib)
	b.Run("upload", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			u := begin(b, f, "/f", s3fs.UploadOptions{})
			write(b, u, data)
			check(b, u.Commit(b.Context(), time.Time{}))
		}
	})
	b.Run("download", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			file, err := f.Open("/f")
			check(b, err)
			_, err = io.Copy(io.Discard, file)
			check(b, err)
			check(b, file.Close())
		}
	})
}

func BenchmarkSmall(b *testing.B) {
	f, err := s3fs.Open(b.Context(), s3peer.Start(b, b.TempDir()).URL("", ""), keys)
	check(b, err)
	defer f.Close()
	for b.Loop() {
		u := begin(b, f, "/f", s3fs.UploadOptions{})
		write(b, u, []byte("content"))
		check(b, u.Commit(b.Context(), time.Time{}))
	}
}
