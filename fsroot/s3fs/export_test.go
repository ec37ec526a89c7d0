package s3fs

import "time"

// SetSizes makes parts small, so that tests need not move gigabytes, and the waits between requests short.
func (f *Fs) SetSizes(part int64, step int, copied, whole int64) {
	f.backoff = time.Millisecond
	f.sizes.part, f.sizes.step, f.sizes.copied, f.sizes.whole = part, step, copied, whole
}

// PartSize returns the size of a part with a pool of that size.
func PartSize(memory int64, n int) int64 { return defaultSizes(memory).of(n) }

const MaxParts = maxParts

// Split returns the sizes of the parts that the store copies.
func (f *Fs) Split(at, end int64) (sizes []int64) {
	_ = f.sizes.split(at, end, func(_, n int64) error { sizes = append(sizes, n); return nil })
	return sizes
}

// Key returns the key of a path in a bucket with that prefix.
func Key(prefix, name string) (string, error) { return (&Fs{root: prefix}).key(name) }

// Child is child.
func Child(prefix, key string) (name string, dir, ok, odd bool) { return child(prefix, key) }

func FormatTime(t time.Time) string           { return formatTime(t) }
func ParseTime(s string) (time.Time, bool)    { return parseTime(s) }
func (f *Fs) RecordName(key, o string) string { return f.recordName(key, o) }
