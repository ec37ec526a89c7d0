package serve

import (
	"io/fs"
	"runtime"

	"miniftp/cmd/miniftp/internal/callout"
	"miniftp/cmd/miniftp/internal/local"
	"miniftp/ftp"
)

// secret returns the secret in the file that a setting names, or nil if it names none. Mistakes are added to cf.Problems.
func (cf *config) secret(field *string) []byte {
	if *field == "" {
		return nil
	}
	text, mode, err := local.ReadFile(*field)
	if err != nil {
		cf.Blame(field, err)
		return nil
	}
	secret, err := callout.ParseSecret(text)
	if err != nil {
		cf.Wrong(field, "%s: %v", ftp.Printable(*field), err)
	}
	others, advice := fs.FileMode(0o077), "600"
	if cf.RunAs != "" { // the file may be for the group of that user
		others, advice = 0o037, "640"
	}
	if mode&others != 0 && runtime.GOOS != "windows" { // where modes say nothing about who can read
		cf.Warn("%s: %s can be read by others: chmod %s it", cf.Label(field), ftp.Printable(*field), advice)
	}
	return secret
}
