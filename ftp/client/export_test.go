package client

import "time"

// ShrinkFor sets how long a Pool stays small after a refused connection.
func ShrinkFor(d time.Duration) (before time.Duration) {
	before, shrinkFor = shrinkFor, d
	return before
}

// Renamed has an Upload rename the file once it is whole, as Mirror may.
func Renamed(o FileOptions, to string) FileOptions {
	o.rename = to
	return o
}

// PartOf returns the name of the part of a version of a file.
func PartOf(name string, size int64, at time.Time) string {
	return partName(name, versionTag(size, at))
}
