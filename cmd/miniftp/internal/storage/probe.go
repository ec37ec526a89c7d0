package storage

import (
	"context"

	"github.com/spf13/afero"

	"miniftp/fsroot/s3fs"
)

// Ability is something that the service behind a storage should be able to do.
type Ability struct {
	Name  string
	Minor bool  // files and quotas are safe without it
	Err   error // why it can't; nil: it can
}

// minorAbilities are those without which no file or quota is damaged.
var minorAbilities = map[string]bool{"empty directory": true, "names with other letters": true, "ranged GET": true}

// Probe finds out what the service of a bucket can do. It writes some MiB, and removes them again. For other storages it
// returns nil.
func Probe(ctx context.Context, fsys afero.Fs) ([]Ability, error) {
	bucket, ok := fsys.(*s3fs.Fs)
	if !ok {
		return nil, nil
	}
	checks, err := bucket.Probe(ctx)
	all := make([]Ability, 0, len(checks))
	for _, c := range checks {
		all = append(all, Ability{c.Name, minorAbilities[c.Name], c.Err})
	}
	return all, err
}

// SkippedNames returns how many objects of a bucket listings have left out, because their keys can't be names of files.
func SkippedNames(fsys afero.Fs) int64 {
	if bucket, ok := fsys.(*s3fs.Fs); ok {
		return bucket.Skipped()
	}
	return 0
}
